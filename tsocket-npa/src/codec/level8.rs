//! Level 8, which Samba speaks since 4.20.

use super::level::{Layout, UserFlagsLen};

pub(super) const LAYOUT: Layout = Layout {
    has_transport: true,
    has_need_idle_server: false,
    has_ticket_type: true,
    user_flags: UserFlagsLen::Word,
    has_claims: true,
    older: None,
};
