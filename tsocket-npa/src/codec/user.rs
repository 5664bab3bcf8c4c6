//! [`UserInfo`], what is known of a user besides the token.

use super::NtTime;
use super::level::{Layout, UserFlagsLen};
use super::ndr::{PLAIN, Reader, Result, Writer};

/// What the accounts' database says of a user. Texts that nobody knows are `None`.
#[doc(alias = "auth_user_info")]
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
#[doc(alias = "auth_user_info_unix")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixInfo {
    /// The name.
    pub unix_name: Option<String>,
    /// The name without what is special to a shell.
    pub sanitized_username: Option<String>,
}

impl UserInfo {
    pub(super) fn read(reader: &mut Reader<'_>, layout: &Layout) -> Result<Self> {
        reader.align(PLAIN);
        let account_name = reader.pointer("info.account_name")?;
        let user_principal_name = reader.pointer("info.user_principal_name")?;
        let user_principal_constructed = reader.boolean("info.user_principal_constructed")?;
        let domain_name = reader.pointer("info.domain_name")?;
        let dns_domain_name = reader.pointer("info.dns_domain_name")?;
        let full_name = reader.pointer("info.full_name")?;
        let logon_script = reader.pointer("info.logon_script")?;
        let profile_path = reader.pointer("info.profile_path")?;
        let home_directory = reader.pointer("info.home_directory")?;
        let home_drive = reader.pointer("info.home_drive")?;
        let logon_server = reader.pointer("info.logon_server")?;
        // Fields are read in the order in which they stand here: first the other scalars, then the texts.
        Ok(Self {
            user_principal_constructed,
            last_logon: reader.time("info.last_logon")?,
            last_logoff: reader.time("info.last_logoff")?,
            acct_expiry: reader.time("info.acct_expiry")?,
            last_password_change: reader.time("info.last_password_change")?,
            allow_password_change: reader.time("info.allow_password_change")?,
            force_password_change: reader.time("info.force_password_change")?,
            logon_count: reader.u16("info.logon_count")?,
            bad_password_count: reader.u16("info.bad_password_count")?,
            acct_flags: reader.u32("info.acct_flags")?,
            user_flags: UserFlags::read(reader, layout)?,
            account_name: reader.string(account_name, "info.account_name")?,
            user_principal_name: reader.string(user_principal_name, "info.user_principal_name")?,
            domain_name: reader.string(domain_name, "info.domain_name")?,
            dns_domain_name: reader.string(dns_domain_name, "info.dns_domain_name")?,
            full_name: reader.string(full_name, "info.full_name")?,
            logon_script: reader.string(logon_script, "info.logon_script")?,
            profile_path: reader.string(profile_path, "info.profile_path")?,
            home_directory: reader.string(home_directory, "info.home_directory")?,
            home_drive: reader.string(home_drive, "info.home_drive")?,
            logon_server: reader.string(logon_server, "info.logon_server")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer, layout: &Layout) -> Result<()> {
        let texts = self.texts();
        writer.align(PLAIN);
        for (_, text) in &texts[..2] {
            writer.pointer(text.is_some());
        }
        writer.boolean(self.user_principal_constructed);
        for (_, text) in &texts[2..] {
            writer.pointer(text.is_some());
        }
        writer.time(self.last_logon);
        writer.time(self.last_logoff);
        writer.time(self.acct_expiry);
        writer.time(self.last_password_change);
        writer.time(self.allow_password_change);
        writer.time(self.force_password_change);
        writer.u16(self.logon_count);
        writer.u16(self.bad_password_count);
        writer.u32(self.acct_flags);
        self.user_flags.write(writer, layout);
        for (field, text) in texts {
            writer.string(text, field)?;
        }
        Ok(())
    }

    /// The texts in the order of the wire.
    fn texts(&self) -> [(&'static str, Option<&str>); 10] {
        [
            ("info.account_name", self.account_name.as_deref()),
            (
                "info.user_principal_name",
                self.user_principal_name.as_deref(),
            ),
            ("info.domain_name", self.domain_name.as_deref()),
            ("info.dns_domain_name", self.dns_domain_name.as_deref()),
            ("info.full_name", self.full_name.as_deref()),
            ("info.logon_script", self.logon_script.as_deref()),
            ("info.profile_path", self.profile_path.as_deref()),
            ("info.home_directory", self.home_directory.as_deref()),
            ("info.home_drive", self.home_drive.as_deref()),
            ("info.logon_server", self.logon_server.as_deref()),
        ]
    }
}

impl UserFlags {
    /// The bit of a guest.
    const GUEST: u32 = 1;

    fn read(reader: &mut Reader<'_>, layout: &Layout) -> Result<Self> {
        const AUTHENTICATED: &str = "info.authenticated";
        const FLAGS: &str = "info.user_flags";
        match layout.user_flags {
            UserFlagsLen::Byte => reader.u8(AUTHENTICATED).map(Self::Authenticated),
            UserFlagsLen::Word => reader.u32(FLAGS).map(Self::Flags),
            UserFlagsLen::Either => {
                // A byte has padding behind it, unless it ends the packet.
                let rest = reader.peek(size_of::<u32>());
                let is_end = reader.left() == size_of::<u32>();
                match rest {
                    [_, padding @ ..] if padding.len() == 3 && (is_end || padding != [0; 3]) => {
                        reader.u32(FLAGS).map(Self::Flags)
                    }
                    _ => reader.u8(AUTHENTICATED).map(Self::Authenticated),
                }
            }
        }
    }

    fn write(self, writer: &mut Writer, layout: &Layout) {
        match (layout.user_flags, self) {
            (UserFlagsLen::Byte, Self::Flags(_)) => writer.u8(self.is_authenticated().into()),
            (UserFlagsLen::Word, Self::Authenticated(_)) => {
                writer.u32(if self.is_authenticated() {
                    0
                } else {
                    Self::GUEST
                });
            }
            (_, Self::Authenticated(value)) => writer.u8(value),
            (_, Self::Flags(flags)) => writer.u32(flags),
        }
    }

    /// What both forms say.
    fn is_authenticated(self) -> bool {
        match self {
            Self::Authenticated(value) => value != 0,
            Self::Flags(flags) => flags & Self::GUEST == 0,
        }
    }
}

impl UnixInfo {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        reader.align(PLAIN);
        let unix_name = reader.pointer("unix_info.unix_name")?;
        let sanitized_username = reader.pointer("unix_info.sanitized_username")?;
        Ok(Self {
            unix_name: reader.string(unix_name, "unix_info.unix_name")?,
            sanitized_username: reader
                .string(sanitized_username, "unix_info.sanitized_username")?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<()> {
        writer.align(PLAIN);
        let (unix_name, sanitized) = (
            self.unix_name.as_deref(),
            self.sanitized_username.as_deref(),
        );
        writer.pointer(unix_name.is_some());
        writer.pointer(sanitized.is_some());
        writer.string(unix_name, "unix_info.unix_name")?;
        writer.string(sanitized, "unix_info.sanitized_username")
    }
}
