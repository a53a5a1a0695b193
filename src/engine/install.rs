//! Brings the engine library to this machine: pinned by version and sha512, cached per user.
//!
//! The npm registry is reached through the user's own `npm`, so that their registry, proxy and
//! credentials apply; a file brought by hand works without any network. Writes beside the final
//! place, syncs, renames: an interrupted install leaves nothing that looks installed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use sha2::{Digest, Sha512};

use crate::ffi::{ENGINE_VERSION, Library, LoadError};

/// The npm package that carries the library.
pub const PACKAGE: &str = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1";
/// sha512 of its archive, base64, as npm records it.
pub const PACKAGE_SHA512: &str =
    "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==";
/// Where else the library can be had.
pub const SECOND_SOURCE: &str = "https://github.com/chdb-io/chdb-core/releases";

const LIBRARY_FILE: &str = "libchdb.so";
const LIBRARY_IN_PACKAGE: &str = "package/libchdb.so";

/// What an install is doing, for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `npm pack` runs (about 180 MB).
    Downloading,
    /// The archive's checksum: bytes done and in all.
    Verifying {
        /// Bytes read.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Unpacking or copying the library: bytes done and in all.
    Unpacking {
        /// Bytes written.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// How an install ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The library.
    pub path: PathBuf,
    /// Whether it was there before.
    pub already: bool,
}

/// Why an install failed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No library is pinned for this kind of machine.
    #[error("no engine library exists for this platform ({0}): set `storage.url` to use a remote ClickHouse")]
    Platform(&'static str),
    /// npm is not there.
    #[error(
        "npm was not found, and the engine library comes from the npm package {PACKAGE}: install Node.js with npm, or fetch the package elsewhere and run `hypocenter engine install --from FILE.tgz` (libchdb.so of release v{ENGINE_VERSION} from {SECOND_SOURCE} works too)"
    )]
    NoNpm,
    /// npm failed.
    #[error(
        "`npm pack {PACKAGE}` failed: {0}; fetch the package elsewhere and run `hypocenter engine install --from FILE.tgz` (libchdb.so of release v{ENGINE_VERSION} from {SECOND_SOURCE} works too)"
    )]
    Npm(String),
    /// Not the pinned archive.
    #[error("{path} is not the pinned package {PACKAGE}: its sha512 is {found}, wanted {PACKAGE_SHA512}")]
    Checksum {
        /// The archive.
        path: PathBuf,
        /// Its sha512, base64.
        found: String,
    },
    /// The archive holds no library.
    #[error("{0} holds no {LIBRARY_IN_PACKAGE}")]
    NotInPackage(PathBuf),
    /// A file.
    #[error("{doing} {path}: {error}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The library given is not usable.
    #[error(transparent)]
    Library(#[from] LoadError),
}

/// Where the library is, or would be: the given override, else the user's cache.
pub fn library_path(explicit: Option<&Path>, cache_dir: &Path) -> PathBuf {
    explicit.map_or_else(|| cached_path(cache_dir), Path::to_owned)
}

/// The library's place below the user's cache directory (`~/.cache`).
pub fn cached_path(cache_dir: &Path) -> PathBuf {
    cache_dir.join("hypocenter").join("engine").join(ENGINE_VERSION).join(LIBRARY_FILE)
}

/// The library, if it is there; else an error that says what to do.
pub fn find(explicit: Option<&Path>, cache_dir: &Path) -> Result<PathBuf, LoadError> {
    let path = library_path(explicit, cache_dir);
    if path.is_file() { Ok(path) } else { Err(LoadError::Missing(path)) }
}

/// Installs the library into the cache: from an archive or a library given, else through npm.
/// Does nothing when it is there already and nothing was given.
pub fn install(
    from: Option<&Path>,
    cache_dir: &Path,
    progress: &mut dyn FnMut(Step),
) -> Result<Installed, InstallError> {
    let path = cached_path(cache_dir);
    if from.is_none() && path.is_file() {
        return Ok(Installed { path, already: true });
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Err(InstallError::Platform(std::env::consts::ARCH));
    }
    let dir = path.parent().unwrap_or(cache_dir);
    std::fs::create_dir_all(dir).map_err(|error| file_error("creating", dir, error))?;
    let work = Scratch::new(dir)?;
    match from {
        Some(given) if is_archive(given)? => unpack(given, PACKAGE_SHA512, &work, &path, progress)?,
        Some(given) => {
            Library::load(given)?;
            copy(given, &work, &path, progress)?;
        }
        None => {
            progress(Step::Downloading);
            let archive = npm_pack(&work.0)?;
            unpack(&archive, PACKAGE_SHA512, &work, &path, progress)?;
        }
    }
    Ok(Installed { path, already: false })
}

/// A directory beside the final place, removed at the end whatever happens.
struct Scratch(PathBuf);

impl Scratch {
    fn new(dir: &Path) -> Result<Self, InstallError> {
        let path = dir.join(format!(".install-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).map_err(|error| file_error("creating", &path, error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn file_error(doing: &'static str, path: &Path, error: io::Error) -> InstallError {
    InstallError::File { doing, path: path.to_owned(), error }
}

fn open(path: &Path) -> Result<(File, u64), InstallError> {
    let file = File::open(path).map_err(|error| file_error("opening", path, error))?;
    let bytes = file.metadata().map_err(|error| file_error("reading", path, error))?.len();
    Ok((file, bytes))
}

fn is_archive(path: &Path) -> Result<bool, InstallError> {
    let (mut file, _) = open(path)?;
    let mut magic = [0; 2];
    file.read_exact(&mut magic).map_err(|error| file_error("reading", path, error))?;
    Ok(magic == [0x1f, 0x8b])
}

/// The user's npm fetches the archive, with the user's registry settings.
fn npm_pack(dir: &Path) -> Result<PathBuf, InstallError> {
    let output = Command::new("npm")
        .args(["pack", "--loglevel=error", "--pack-destination", ".", PACKAGE])
        .current_dir(dir)
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => InstallError::NoNpm,
            _ => InstallError::Npm(error.to_string()),
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().filter(|line| !line.trim().is_empty()).take(3);
        return Err(InstallError::Npm(said.collect::<Vec<_>>().join(" ")));
    }
    let entries = std::fs::read_dir(dir).map_err(|error| file_error("reading", dir, error))?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| InstallError::Npm("it left no archive".to_owned()))
}

fn unpack(
    archive: &Path,
    sha512: &str,
    work: &Scratch,
    path: &Path,
    progress: &mut dyn FnMut(Step),
) -> Result<(), InstallError> {
    verify(archive, sha512, progress)?;
    let (file, _) = open(archive)?;
    let mut tar = flate2::read::GzDecoder::new(io::BufReader::with_capacity(1 << 20, file));
    let reading = |error| file_error("unpacking", archive, error);
    loop {
        let mut header = [0; TAR_BLOCK];
        tar.read_exact(&mut header).map_err(reading)?;
        let Some((name, bytes)) = tar_entry(&header) else {
            return Err(InstallError::NotInPackage(archive.to_owned()));
        };
        if name == LIBRARY_IN_PACKAGE {
            return place((&mut tar).take(bytes), bytes, work, path, progress);
        }
        let padded = bytes.div_ceil(TAR_BLOCK as u64) * TAR_BLOCK as u64;
        io::copy(&mut (&mut tar).take(padded), &mut io::sink()).map_err(reading)?;
    }
}

const TAR_BLOCK: usize = 512;

/// Name and size of a tar entry; `None` at the end of the archive.
fn tar_entry(header: &[u8; TAR_BLOCK]) -> Option<(String, u64)> {
    if header[0] == 0 {
        return None;
    }
    let field = |range: std::ops::Range<usize>| {
        let bytes = &header[range];
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
    };
    let size = u64::from_str_radix(&field(124..136), 8).ok()?;
    Some((field(0..100), size))
}

fn verify(archive: &Path, sha512: &str, progress: &mut dyn FnMut(Step)) -> Result<(), InstallError> {
    let (mut file, total) = open(archive)?;
    let mut hash = Sha512::new();
    let mut done = 0;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece).map_err(|error| file_error("reading", archive, error))?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
        done += count as u64;
        progress(Step::Verifying { done, total });
    }
    let found = base64::engine::general_purpose::STANDARD.encode(hash.finalize());
    if found == sha512 {
        return Ok(());
    }
    Err(InstallError::Checksum { path: archive.to_owned(), found })
}

const PIECE_BYTES: usize = 1 << 20;

fn copy(given: &Path, work: &Scratch, path: &Path, progress: &mut dyn FnMut(Step)) -> Result<(), InstallError> {
    let (file, bytes) = open(given)?;
    place(file, bytes, work, path, progress)
}

/// Writes the library beside its place, syncs, and renames it there.
fn place(
    mut from: impl Read,
    total: u64,
    work: &Scratch,
    path: &Path,
    progress: &mut dyn FnMut(Step),
) -> Result<(), InstallError> {
    let temporary = work.0.join(LIBRARY_FILE);
    let writing = |error| file_error("writing", &temporary, error);
    let mut file = File::create(&temporary).map_err(writing)?;
    let mut done = 0;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = from.read(&mut piece).map_err(writing)?;
        if count == 0 {
            break;
        }
        file.write_all(&piece[..count]).map_err(writing)?;
        done += count as u64;
        progress(Step::Unpacking { done, total });
    }
    if done != total {
        return Err(writing(io::Error::new(io::ErrorKind::UnexpectedEof, "the library is cut")));
    }
    file.sync_all().map_err(writing)?;
    std::fs::rename(&temporary, path).map_err(|error| file_error("moving", path, error))?;
    if let Some(dir) = path.parent().and_then(|dir| File::open(dir).ok()) {
        let _ = dir.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, data) in entries {
            let mut header = [0; TAR_BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
            tar.extend_from_slice(&header);
            tar.extend_from_slice(data);
            tar.resize(tar.len().div_ceil(TAR_BLOCK) * TAR_BLOCK, 0);
        }
        tar.resize(tar.len() + 2 * TAR_BLOCK, 0);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        gzip.finish().unwrap()
    }

    // Scenario: the right archive, one without the library, one of another checksum, a cut one.
    // Guarantee: only the right one leaves a library; the others leave nothing at all.
    #[test]
    fn only_the_pinned_archive_is_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let good = archive(&[("package/package.json", b"{}"), (LIBRARY_IN_PACKAGE, &[7; 3000])]);
        let empty = archive(&[("package/package.json", b"{}")]);
        let cut = good[..good.len() / 2].to_vec();
        for (name, bytes, pinned, works) in [
            ("good", &good, true, true),
            ("other", &good, false, false),
            ("empty", &empty, true, false),
            ("cut", &cut, true, false),
        ] {
            let place = dir.path().join(name);
            std::fs::create_dir(&place).unwrap();
            let file = dir.path().join(format!("{name}.tgz"));
            std::fs::write(&file, bytes).unwrap();
            let sha512 = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(bytes));
            let sha512 = if pinned { sha512.as_str() } else { PACKAGE_SHA512 };
            let path = place.join(LIBRARY_FILE);
            let mut steps = Vec::new();
            let unpacked = {
                let work = Scratch::new(&place).unwrap();
                unpack(&file, sha512, &work, &path, &mut |step| steps.push(step))
            };
            assert_eq!(unpacked.is_ok(), works, "{name}: {unpacked:?}");
            let left: Vec<_> = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert_eq!(left, if works { vec![path.clone()] } else { Vec::new() }, "{name}");
            if works {
                assert_eq!(std::fs::read(&path).unwrap(), [7; 3000]);
                assert!(steps.contains(&Step::Unpacking { done: 3000, total: 3000 }));
            }
        }
    }

    // Scenario: a library in the cache, and none; a given file that is neither archive nor library.
    // Guarantee: a second install does nothing; a missing library says what to do; a wrong file is
    // refused.
    #[test]
    fn cached_library_is_kept_and_wrong_files_are_refused() {
        let cache = tempfile::tempdir().unwrap();
        let missing = find(None, cache.path()).unwrap_err().to_string();
        assert!(missing.contains("hypocenter engine install") && missing.contains("storage.url"), "{missing}");
        let wrong = cache.path().join("wrong.so");
        std::fs::write(&wrong, "not a library").unwrap();
        assert!(matches!(install(Some(&wrong), cache.path(), &mut |_| {}), Err(InstallError::Library(_))));
        assert!(find(None, cache.path()).is_err());
        let path = cached_path(cache.path());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "library").unwrap();
        let installed = install(None, cache.path(), &mut |_| panic!("nothing to do")).unwrap();
        assert_eq!(installed, Installed { path: path.clone(), already: true });
        assert_eq!(find(None, cache.path()).unwrap(), path);
        assert_eq!(find(Some(&wrong), cache.path()).unwrap(), wrong);
    }
}
