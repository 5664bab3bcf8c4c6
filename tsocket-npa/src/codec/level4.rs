//! Level 4, which Samba up to 4.15 speaks.

use super::level::{Layout, UserFlagsLen};

/// Before 4.14.14 and 4.15.9.
const OLDER: Layout = Layout {
    has_transport: false,
    has_need_idle_server: false,
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
