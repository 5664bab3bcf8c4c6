//! Abstract endpoints on the tevent reactor.
#![forbid(unsafe_code)]
