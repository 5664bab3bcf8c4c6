//! [`NpDirectory`], the directory of socket files that only smbd and its services may enter.

use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::PipeName;

/// The mode that the directory has to have: smbd does not start with any other.
const MODE: u32 = 0o700;

/// The mode that a missing parent is made with; it is what Samba makes it with.
const PARENT_MODE: u32 = 0o755;

/// Everything of a mode that says who may do what.
const MODE_BITS: u32 = 0o7777;
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// A directory in which pipes can be offered, because only this user and root can enter it.
///
/// A named pipe has no authentication of its own: whoever can connect is believed when it says who the
/// user is. So the directory is checked before anything listens in it.
///
/// # Examples
/// ```
/// use tsocket_npa::{NpDirectory, PipeName};
///
/// let temporary = tempfile::tempdir()?;
/// let directory = NpDirectory::create_or_verify(temporary.path().join("ncalrpc/np"))?;
/// let socket = directory.socket_path(&PipeName::new("echo")?);
/// assert!(socket.ends_with("ncalrpc/np/echo"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpDirectory {
    path: PathBuf,
}

/// Why a directory cannot be trusted with pipes.
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectoryError {
    /// There is something else of that name: a file, or a symbolic link.
    NotADirectory {
        /// Where.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    Owner {
        /// Which directory.
        path: PathBuf,
        /// Who owns it.
        uid: u32,
        /// Who has to.
        wanted: u32,
    },
    /// Its mode is not exactly 0700.
    Mode {
        /// Which directory.
        path: PathBuf,
        /// The mode that it has.
        mode: u32,
    },
    /// Others may write to the directory above it, and so could replace it.
    Parent {
        /// The directory above.
        path: PathBuf,
        /// The mode that it has.
        mode: u32,
    },
    /// It could not be made or looked at.
    System {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl NpDirectory {
    /// Makes the directory at `path` if it is missing (mode 0700), and its parent too (mode 0755), and
    /// checks both.
    ///
    /// The directory has to belong to the effective user and have mode 0700: smbd, which shares it,
    /// insists on the same. The parent has to belong to the same user or root, and nobody else may
    /// write to it unless it is sticky. What exists is never changed.
    ///
    /// # Errors
    /// As [`DirectoryError`] lists them.
    pub fn create_or_verify(path: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        // Without what stands behind the name, such as a slash, with which a link would be followed.
        let path: PathBuf = path.into().components().collect();
        let uid = rustix::process::geteuid().as_raw();
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        create_if_missing(parent, PARENT_MODE)?;
        verify_parent(parent, uid)?;
        create_if_missing(&path, MODE)?;
        verify(&path, uid)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the socket of `name` is.
    #[must_use]
    pub fn socket_path(&self, name: &PipeName) -> PathBuf {
        self.path.join(name.as_str())
    }
}

fn create_if_missing(path: &Path, mode: u32) -> Result<(), DirectoryError> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => set_mode(path, mode),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| system(path, error))
}

/// Gives back the bits that the umask has taken away, to the directory that was made and to nothing that
/// somebody has put in its place meanwhile.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::open(path, flags, Mode::empty())?;
    let made = File::from(made);
    if made.metadata()?.uid() != rustix::process::geteuid().as_raw() {
        return Err(Errno::PERM.into());
    }
    made.set_permissions(Permissions::from_mode(mode))
}

fn verify(path: &Path, uid: u32) -> Result<(), DirectoryError> {
    let found = fs::symlink_metadata(path).map_err(|error| system(path, error))?;
    expect_directory(path, &found)?;
    if found.uid() != uid {
        return Err(foreign(path, &found, uid));
    }
    match found.mode() & MODE_BITS {
        MODE => Ok(()),
        mode => Err(DirectoryError::Mode {
            path: path.to_owned(),
            mode,
        }),
    }
}

fn verify_parent(path: &Path, uid: u32) -> Result<(), DirectoryError> {
    // A link is followed: whoever can change it can write to a directory that is not looked at here.
    let found = fs::metadata(path).map_err(|error| system(path, error))?;
    expect_directory(path, &found)?;
    if found.uid() != uid && found.uid() != 0 {
        return Err(foreign(path, &found, uid));
    }
    let mode = found.mode() & MODE_BITS;
    if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
        return Err(DirectoryError::Parent {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn expect_directory(path: &Path, found: &Metadata) -> Result<(), DirectoryError> {
    if found.is_dir() {
        return Ok(());
    }
    Err(DirectoryError::NotADirectory {
        path: path.to_owned(),
    })
}

fn foreign(path: &Path, found: &Metadata, wanted: u32) -> DirectoryError {
    DirectoryError::Owner {
        path: path.to_owned(),
        uid: found.uid(),
        wanted,
    }
}

fn system(path: &Path, error: io::Error) -> DirectoryError {
    DirectoryError::System {
        path: path.to_owned(),
        error,
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory { path } => write!(f, "{} is not a directory", path.display()),
            Self::Owner { path, uid, wanted } => {
                let path = path.display();
                write!(
                    f,
                    "{path} belongs to uid {uid}, it has to belong to uid {wanted}"
                )
            }
            Self::Mode { path, mode } => {
                let path = path.display();
                write!(f, "{path} has mode {mode:04o}, it has to have {MODE:04o}")
            }
            Self::Parent { path, mode } => {
                let path = path.display();
                write!(
                    f,
                    "{path} has mode {mode:04o}: others could replace what is in it"
                )
            }
            Self::System { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl Error for DirectoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<DirectoryError> for io::Error {
    /// `ENOTDIR`, `EPERM`, or what the system said.
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::System { error, .. } => error,
            DirectoryError::NotADirectory { .. } => Errno::NOTDIR.into(),
            _ => Errno::PERM.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & MODE_BITS
    }

    fn change_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_missing_is_made_with_the_modes_that_samba_wants() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("ncalrpc/np");
        let directory = NpDirectory::create_or_verify(&path).unwrap();
        assert_eq!(mode_of(&path), MODE);
        assert_eq!(mode_of(path.parent().unwrap()), PARENT_MODE);
        assert_eq!(NpDirectory::create_or_verify(&path).unwrap(), directory);
        let deep = temporary.path().join("a/b/np");
        let error = NpDirectory::create_or_verify(deep).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    }

    #[test]
    fn another_mode_is_refused_and_left_as_it_is() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("np");
        fs::create_dir(&path).unwrap();
        for mode in [0o755, 0o750, 0o711, 0o600, 0o1700, 0o777] {
            change_mode(&path, mode);
            let error = NpDirectory::create_or_verify(&path).unwrap_err();
            let text = error.to_string();
            assert!(text.ends_with(&format!("np has mode {mode:04o}, it has to have 0700")));
            assert_eq!(mode_of(&path), mode);
        }
        change_mode(&path, MODE);
        NpDirectory::create_or_verify(&path).unwrap();
    }

    #[test]
    fn a_parent_that_others_may_write_to_is_refused_unless_it_is_sticky() {
        let temporary = tempfile::tempdir().unwrap();
        let parent = temporary.path().join("parent");
        fs::create_dir(&parent).unwrap();
        for (mode, is_good) in [
            (0o755, true),
            (0o700, true),
            (0o1777, true),
            (0o775, false),
            (0o757, false),
        ] {
            change_mode(&parent, mode);
            let made = NpDirectory::create_or_verify(parent.join("np"));
            assert_eq!(made.is_ok(), is_good, "{mode:o}: {made:?}");
        }
    }

    #[test]
    fn the_directory_of_somebody_else_is_refused() {
        let error = verify(Path::new("/"), 4_000_000_000).unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            "/ belongs to uid 0, it has to belong to uid 4000000000"
        );
        assert!(verify_parent(Path::new("/"), 4_000_000_000).is_ok());
    }

    #[test]
    fn a_file_or_a_link_in_its_place_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let real = temporary.path().join("real");
        NpDirectory::create_or_verify(&real).unwrap();
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        let [slash, dot] = ["link/", "link/."].map(|name| temporary.path().join(name));
        for path in [link, slash, dot, file.clone(), file.join("np")] {
            let error = NpDirectory::create_or_verify(&path).unwrap_err();
            assert!(io::Error::from(error).raw_os_error() == Some(Errno::NOTDIR.raw_os_error()));
        }
    }

    #[test]
    fn nothing_behind_a_link_gets_another_mode() {
        let temporary = tempfile::tempdir().unwrap();
        let secret = temporary.path().join("secret");
        NpDirectory::create_or_verify(&secret).unwrap();
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let error = set_mode(&link, PARENT_MODE).unwrap_err();
        assert!([Errno::NOTDIR, Errno::LOOP].contains(&Errno::from_io_error(&error).unwrap()));
        assert_eq!(mode_of(&secret), MODE);
    }
}
