//! The files below the root: opened and read by jobs that may block.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::response::Status;

/// How much of a file one job reads, in bytes.
pub(crate) const BLOCK_LEN: usize = 256 * 1024;

/// What a directory stands for.
const INDEX: &str = "index.html";

/// The directory that is served.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
}

/// What a target leads to.
pub(crate) enum Found {
    File(Entry),
    /// A directory, asked for without its slash.
    Directory,
}

/// An open file.
pub(crate) struct Entry {
    pub(crate) file: File,
    pub(crate) len: u64,
    /// In whole seconds, as HTTP counts; nothing where the file system keeps no dates.
    pub(crate) modified: Option<SystemTime>,
    pub(crate) media_type: &'static str,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { directory })
    }

    /// Opens what `names` lead to. Symbolic links are not followed: nothing below the root can lead
    /// out of it.
    pub(crate) fn find(&self, names: &[OsString], is_directory: bool) -> Result<Found, Status> {
        let names = names.iter().map(Path::new);
        let index = is_directory.then_some(Path::new(INDEX));
        let mut below: Option<OwnedFd> = None;
        let mut names = names.chain(index).peekable();
        while let Some(name) = names.next() {
            let at = below.as_ref().unwrap_or(&self.directory);
            let kind = if names.peek().is_some() {
                OFlags::DIRECTORY
            } else {
                // A FIFO must not keep the job waiting.
                OFlags::NONBLOCK
            };
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
            let opened = openat(at, name, flags, Mode::empty()).map_err(refusal)?;
            if names.peek().is_none() {
                return Found::at(File::from(opened), media_type(name));
            }
            below = Some(opened);
        }
        Ok(Found::Directory)
    }
}

impl Found {
    fn at(file: File, media_type: &'static str) -> Result<Self, Status> {
        let metadata = file.metadata().map_err(|_| Status::INTERNAL_ERROR)?;
        if metadata.is_dir() {
            return Ok(Self::Directory);
        }
        if !metadata.is_file() {
            return Err(Status::FORBIDDEN);
        }
        Ok(Self::File(Entry {
            len: metadata.len(),
            modified: metadata.modified().ok().map(whole_seconds),
            media_type,
            file,
        }))
    }
}

/// Reads the start of `range`, a block at most; less only where the file ends.
pub(crate) fn read_block(file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut block = vec![0; len.min(BLOCK_LEN)];
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], range.start + filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(block)
}

fn refusal(error: Errno) -> Status {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK | Errno::NAMETOOLONG => {
            Status::NOT_FOUND
        }
        Errno::ACCESS | Errno::PERM | Errno::NXIO => Status::FORBIDDEN,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Status::UNAVAILABLE,
        _ => Status::INTERNAL_ERROR,
    }
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// The media type that goes with the end of a name.
fn media_type(name: &Path) -> &'static str {
    let extension = name.extension().unwrap_or_default().to_ascii_lowercase();
    match extension.to_str().unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}
