//! Named-pipe streams over any [`tsocket`] stream.
#![forbid(unsafe_code)]
