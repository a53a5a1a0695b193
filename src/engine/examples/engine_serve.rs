//! The engine process without the rest of Hypocenter: what the room's tests start.

fn main() {
    engine::serve_from_parent()
}
