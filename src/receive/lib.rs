//! The receive room.
