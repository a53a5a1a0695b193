//! The engine process without the rest of Hypocenter: what the room's tests start.

// As in the program itself; bodies of megabytes come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    engine::serve_from_parent()
}
