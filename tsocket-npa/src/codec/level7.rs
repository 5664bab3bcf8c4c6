//! Level 7, which Samba 4.17.9, 4.18.3 and 4.19 speak.

use super::level::{Layout, UserFlagsLen};

pub(super) const LAYOUT: Layout = Layout {
    has_transport: true,
    has_need_idle_server: false,
    has_ticket_type: true,
    user_flags: UserFlagsLen::Either,
    has_claims: false,
    older: None,
};
