//! Integration tests: they start the real program and speak its protocols.
