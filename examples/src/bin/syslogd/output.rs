//! Where lines go: a file, or standard output, written by jobs that may block.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// An open file, and the name it is opened by again.
#[derive(Debug)]
pub(crate) struct Output {
    path: Option<PathBuf>,
    file: File,
}

impl Output {
    /// Standard output if there is no `path`.
    pub(crate) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let file = open(path.as_deref())?;
        Ok(Self { path, file })
    }

    /// Opens the file again by its name, for whoever has moved it away; standard output stays.
    ///
    /// # Errors
    /// Those of open(2); then the file stays the one it was.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        self.file = open(self.path.as_deref())?;
        Ok(())
    }

    /// Writes `lines`, and takes what was written off them.
    ///
    /// # Errors
    /// Those of write(2); what is left in `lines` was not written.
    pub(crate) fn write(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        while !lines.is_empty() {
            match self.file.write(lines) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => drop(lines.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open(path: Option<&Path>) -> io::Result<File> {
    match path {
        Some(path) => OpenOptions::new().append(true).create(true).open(path),
        None => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
    }
}
