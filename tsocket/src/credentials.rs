//! [`Credentials`], whom the system says a peer to be.

/// Who a peer on the same machine is, as the system vouches for it.
///
/// What the process was when it connected, called `listen(2)` or made the pair; it may have changed or
/// ended since, and have handed its descriptor to somebody else.
///
/// # Source
/// `SO_PEERCRED` in `unix(7)`; `getpeereid(3)`. C tsocket has none.
#[doc(alias = "SO_PEERCRED")]
#[doc(alias = "getpeereid")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The process; nothing where the system does not say, or where the process is out of sight in a
    /// PID namespace outside of ours.
    pub pid: Option<u32>,
}
