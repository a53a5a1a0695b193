//! Makes a build notice when the UI's files appear or change. Node is never needed here.

fn main() {
    let dist = std::path::Path::new("../../ui/dist");
    // An absent folder would count as changed at every build. Where it cannot be made, it does.
    let _ = std::fs::create_dir_all(dist);
    println!("cargo:rerun-if-changed=../../ui/dist");
}
