//! Small file systems that can be filled. Needs root; says so where it is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report::Stop;

/// A mounted tmpfs; taken away when dropped.
pub struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Mounts `mib` MiB at `path`, which is made.
    pub fn mount(path: &Path, mib: u64) -> Result<Tmpfs, Stop> {
        if !rustix::process::geteuid().is_root() {
            return Err(Stop::NotRun("needs root".into()));
        }
        std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
        let size = format!("size={mib}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "fault"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Tmpfs { path: path.to_owned() }),
            Ok(output) => Err(Stop::NotRun(format!(
                "needs root that may mount: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(Stop::NotRun(format!("needs the program mount: {error}"))),
        }
    }

    /// Fills what is free but for `leave` bytes; the file's name.
    pub fn fill(&self, leave: u64) -> Result<PathBuf, Stop> {
        let path = self.path.join("ballast");
        let file = std::fs::File::create(&path).map_err(|error| error.to_string())?;
        let mut length = 0;
        // Others write at the same time: what was free may not be any more.
        for _ in 0..200 {
            let stat = rustix::fs::statvfs(&self.path).map_err(|error| error.to_string())?;
            let free = (stat.f_bavail * stat.f_frsize).saturating_sub(leave);
            if free == 0 {
                break;
            }
            if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), length, free).is_ok() {
                length += free;
            }
        }
        Ok(path)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}
