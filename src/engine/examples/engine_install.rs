//! `hypocenter engine install` without the rest of Hypocenter: `engine_install CACHE_DIR [FILE]`.
#![allow(clippy::print_stdout)]

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(cache) = arguments.get(1) else { return println!("usage: engine_install CACHE_DIR [FILE]") };
    let from = arguments.get(2).map(Path::new);
    let mut last = String::new();
    let installed = engine::install::install(from, Path::new(cache), &mut |step| {
        let shown = format!("{step:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
        if shown != last {
            println!("{shown}");
            last = shown;
        }
    });
    match installed {
        Ok(installed) => println!("{installed:?}"),
        Err(error) => println!("{error}"),
    }
}
