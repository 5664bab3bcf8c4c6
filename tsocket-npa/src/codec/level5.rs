//! Level 5, which Samba 4.16 and the first releases of 4.17 and 4.18 speak.

use super::level::{Layout, UserFlagsLen};

/// Before 4.16.4.
const OLDER: Layout = Layout {
    has_transport: true,
    has_need_idle_server: true,
    has_ticket_type: false,
    user_flags: UserFlagsLen::Byte,
    has_claims: false,
    older: None,
};

pub(super) const LAYOUT: Layout = Layout {
    has_ticket_type: true,
    older: Some(&OLDER),
    ..OLDER
};
