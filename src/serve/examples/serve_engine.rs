//! The engine process without the rest of Hypocenter: what this room's tests start.

fn main() {
    engine::serve_from_parent()
}
