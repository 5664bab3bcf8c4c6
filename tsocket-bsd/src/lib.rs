//! BSD sockets on the tevent reactor.
