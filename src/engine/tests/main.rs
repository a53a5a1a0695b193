//! The engine room's tests against the real engine, in a child process as in production.

mod life;
mod support;
