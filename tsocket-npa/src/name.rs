//! [`PipeName`], the name of a pipe as its socket file has it.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::io::Errno;

/// The pipes of Samba's own services, whose socket files `samba-dcerpcd` replaces when it starts.
const SAMBA_SERVICES: [&str; 18] = [
    "epmapper",
    "eventlog",
    "fssagentrpc",
    "initshutdown",
    "lsarpc",
    "lsass",
    "mdssvc",
    "netdfs",
    "netlogon",
    "ntsvcs",
    "plugplay",
    "samr",
    "spoolss",
    "srvsvc",
    "svcctl",
    "winreg",
    "witness",
    "wkssvc",
];

/// The name of a pipe: one file name, in lower case.
///
/// An SMB client says `\pipe\Name`, in any case; the socket is the file `name`. Backslashes inside a
/// name are part of it, one in front is dropped. Each letter becomes one letter, as in smbd. Of capital
/// letters smbd knows those that Unicode had at first: a few others, such as `ẞ`, it leaves as they are.
///
/// # Examples
/// ```
/// use tsocket_npa::{NameError, PipeName};
///
/// let name: PipeName = "\\MyService".parse()?;
/// assert_eq!(name.as_str(), "myservice");
/// assert_eq!("a/b".parse::<PipeName>(), Err(NameError::Forbidden('/')));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipeName(String);

/// Why a text is no name of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It is `.` or `..`, which are directories.
    Directory,
    /// It has a character that no file name has.
    Forbidden(char),
    /// It has more than [`PipeName::MAX_LEN`] bytes.
    TooLong {
        /// How many it has.
        len: usize,
    },
}

impl PipeName {
    /// The largest number of bytes in a name: what a unix address has room for behind the shortest
    /// directory.
    pub const MAX_LEN: usize = 105;

    /// The name that `text` asks for, in lower case.
    ///
    /// # Errors
    /// - [`Empty`](NameError::Empty) if nothing is left of it.
    /// - [`Directory`](NameError::Directory) for `.` and `..`.
    /// - [`Forbidden`](NameError::Forbidden) if it has a `/` or a NUL.
    /// - [`TooLong`](NameError::TooLong) if it has more than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let name = text.strip_prefix('\\').unwrap_or(text);
        let name: String = name.chars().map(lower).collect();
        if let Some(found) = name.chars().find(|c| ['/', '\0'].contains(c)) {
            return Err(NameError::Forbidden(found));
        }
        match name.as_str() {
            "" => Err(NameError::Empty),
            "." | ".." => Err(NameError::Directory),
            name if name.len() > Self::MAX_LEN => Err(NameError::TooLong { len: name.len() }),
            _ => Ok(Self(name)),
        }
    }

    /// The name of the socket file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of Samba's own services has this name: `samba-dcerpcd` would replace the socket.
    #[must_use]
    pub fn is_of_samba(&self) -> bool {
        SAMBA_SERVICES.contains(&self.as_str())
    }
}

/// What smbd makes of a letter: never two, and the same one wherever it stands, so that the last sigma of
/// a word is like all others; beyond the sixteen bits of a letter on Windows, nothing.
fn lower(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) if letter <= '\u{ffff}' => lower,
        _ => letter,
    }
}

impl FromStr for PipeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl fmt::Display for PipeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name of a pipe is empty"),
            Self::Directory => f.write_str("the name of a pipe is '.' or '..'"),
            Self::Forbidden(found) => write!(f, "the name of a pipe contains {found:?}"),
            Self::TooLong { len } => write!(
                f,
                "the name of a pipe has {len} bytes, more than {}",
                PipeName::MAX_LEN
            ),
        }
    }
}

impl Error for NameError {}

impl From<NameError> for io::Error {
    /// `ENAMETOOLONG` or `EINVAL`.
    fn from(error: NameError) -> Self {
        Self::from(match error {
            NameError::TooLong { .. } => Errno::NAMETOOLONG,
            _ => Errno::INVAL,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_file_in_lower_case() {
        for (text, name) in [
            ("echo", "echo"),
            ("ECHO", "echo"),
            ("\\echo", "echo"),
            ("ÜNÏ", "ünï"),
            ("ΟΔΟΣ", "οδοσ"),
            ("İX", "İx"),
            ("\u{10400}", "\u{10400}"),
            ("sub\\Pipe\\name", "sub\\pipe\\name"),
            ("...", "..."),
            (".hidden", ".hidden"),
            ("a name", "a name"),
        ] {
            assert_eq!(PipeName::new(text).unwrap().as_str(), name);
        }
        let longest = "n".repeat(PipeName::MAX_LEN);
        assert_eq!(PipeName::new(&longest).unwrap().as_str(), longest);
    }

    #[test]
    fn what_is_no_file_name_is_refused() {
        for (text, error) in [
            ("", NameError::Empty),
            ("\\", NameError::Empty),
            (".", NameError::Directory),
            ("..", NameError::Directory),
            ("\\..", NameError::Directory),
            ("a/b", NameError::Forbidden('/')),
            ("/", NameError::Forbidden('/')),
            ("../etc", NameError::Forbidden('/')),
            ("a\0b", NameError::Forbidden('\0')),
            (&"n".repeat(200), NameError::TooLong { len: 200 }),
        ] {
            assert_eq!(PipeName::new(text), Err(error), "{text:?}");
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn the_services_of_samba_are_known() {
        assert!(PipeName::new("SRVSVC").unwrap().is_of_samba());
        assert!(!PipeName::new("srvsvc2").unwrap().is_of_samba());
        assert!(SAMBA_SERVICES.is_sorted());
    }
}
