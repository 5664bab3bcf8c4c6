//! [`UserInfo`], what is known of a user besides the token.

use super::NtTime;

/// What the accounts' database says of a user. Texts that nobody knows are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The name of the account.
    pub account_name: Option<String>,
    /// `user@REALM`.
    pub user_principal_name: Option<String>,
    /// Whether the principal name was put together from the other names.
    pub user_principal_constructed: bool,
    /// The domain of the account, or the machine.
    pub domain_name: Option<String>,
    /// The domain of the account in the DNS.
    pub dns_domain_name: Option<String>,
    /// The name of the person.
    pub full_name: Option<String>,
    /// A script that runs at logon.
    pub logon_script: Option<String>,
    /// Where the profile is.
    pub profile_path: Option<String>,
    /// The home directory.
    pub home_directory: Option<String>,
    /// The drive that the home directory becomes.
    pub home_drive: Option<String>,
    /// Who checked the password.
    pub logon_server: Option<String>,
    /// When the user logged on.
    pub last_logon: NtTime,
    /// When the user has to log off.
    pub last_logoff: NtTime,
    /// When the account expires.
    pub acct_expiry: NtTime,
    /// When the password was changed.
    pub last_password_change: NtTime,
    /// When the password may be changed.
    pub allow_password_change: NtTime,
    /// When the password has to be changed.
    pub force_password_change: NtTime,
    /// How often the user logged on.
    pub logon_count: u16,
    /// How often the password was wrong.
    pub bad_password_count: u16,
    /// The kind of account, one bit each; 0x10 is that of a person.
    pub acct_flags: u32,
    /// Whether the user has proved to be somebody; judge by the SIDs instead.
    pub user_flags: UserFlags,
}

/// One field whose meaning changed between releases of Samba: judge a user by the SIDs instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserFlags {
    /// Up to 4.18 (levels 4, 5 and 7): a byte, which is 1 if the user has proved to be somebody.
    Authenticated(u8),
    /// From 4.19 (levels 7 and 8): bits, of which 1 says that the user is a guest.
    Flags(u32),
}

impl Default for UserFlags {
    fn default() -> Self {
        Self::Flags(0)
    }
}

/// The names of a user on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixInfo {
    /// The name.
    pub unix_name: Option<String>,
    /// The name without what is special to a shell.
    pub sanitized_username: Option<String>,
}
