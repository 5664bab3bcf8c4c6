//! [`Failed`], an error that brings the buffers of its operation back.

use std::error::Error;
use std::fmt;
use std::io;

use tevent::Ended;

use crate::Buffers;

/// Why an operation failed, with the buffers that it was given.
///
/// `?` turns it into the [`io::Error`] alone.
///
/// # Examples
/// ```
/// use std::io;
/// use tsocket::Failed;
///
/// fn reuse(failed: Failed<Vec<u8>>) -> Vec<u8> {
///     failed.buffers
/// }
///
/// fn pass_on(result: Result<Vec<u8>, Failed<Vec<u8>>>) -> io::Result<Vec<u8>> {
///     Ok(result?)
/// }
/// ```
pub struct Failed<B> {
    /// Why.
    pub error: io::Error,
    /// What the operation was given.
    pub buffers: B,
    /// How many bytes were transferred before.
    pub transferred: usize,
}

impl<B> fmt::Debug for Failed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("error", &self.error)
            .field("transferred", &self.transferred)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for Failed<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} bytes", self.error, self.transferred)
    }
}

impl<B> Error for Failed<B> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<Failed<B>> for io::Error {
    fn from(failed: Failed<B>) -> Self {
        failed.error
    }
}

/// The operations of this crate hand their buffers back when they are ended from outside; only one
/// whose implementation abandons it ends with empty ones.
impl<B: Buffers> From<Ended> for Failed<B> {
    fn from(ended: Ended) -> Self {
        Self {
            error: ended.into(),
            buffers: B::empty(),
            transferred: 0,
        }
    }
}
