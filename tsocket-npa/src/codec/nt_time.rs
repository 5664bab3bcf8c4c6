//! [`NtTime`], a time as Windows counts it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Seconds from 1601 to 1970.
const SECONDS_TO_UNIX: u64 = 11_644_473_600;
const TICKS_PER_SECOND: u64 = 10_000_000;

/// A time in units of 100 ns since the beginning of 1601, UTC.
///
/// Printed as `2026-11-21T21:35:17Z`, or as `not set` and `never` for the two special values.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use tsocket_npa::codec::NtTime;
///
/// let time = NtTime(0x01dd_7a01_efef_a980);
/// assert_eq!(time.to_string(), "2026-11-21T21:47:43Z");
/// assert_eq!(NtTime::from(time.to_system_time().unwrap()), time);
/// assert_eq!(NtTime::NEVER.to_string(), "never");
/// assert_eq!(NtTime::from(SystemTime::UNIX_EPOCH).to_string(), "1970-01-01T00:00:00Z");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtTime(
    /// The number of units.
    pub u64,
);

impl NtTime {
    /// It has not happened.
    pub const NOT_SET: Self = Self(0);

    /// It will not happen.
    pub const NEVER: Self = Self(0x7fff_ffff_ffff_ffff);

    /// The same as the system's type; `None` for the special values, and where that type ends.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        if self == Self::NOT_SET || self >= Self::NEVER {
            return None;
        }
        let whole = Duration::from_secs(self.0 / TICKS_PER_SECOND);
        let since_1601 = whole + Duration::from_nanos(self.0 % TICKS_PER_SECOND * 100);
        SystemTime::UNIX_EPOCH
            .checked_sub(Duration::from_secs(SECONDS_TO_UNIX))?
            .checked_add(since_1601)
    }
}

impl From<SystemTime> for NtTime {
    /// Rounds down to 100 ns; what is before 1601 is [`NOT_SET`](Self::NOT_SET), what is too late
    /// [`NEVER`](Self::NEVER).
    fn from(time: SystemTime) -> Self {
        let unix = Duration::from_secs(SECONDS_TO_UNIX);
        let since_1601 = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => after.checked_add(unix),
            Err(before) => Some(unix.saturating_sub(before.duration())),
        };
        let ticks = since_1601.map(|since| since.as_nanos() / 100);
        ticks
            .and_then(|ticks| u64::try_from(ticks).ok())
            .map_or(Self::NEVER, |ticks| Self(ticks).min(Self::NEVER))
    }
}

impl fmt::Display for NtTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NOT_SET => return f.write_str("not set"),
            Self::NEVER => return f.write_str("never"),
            _ => {}
        }
        let seconds = self.0 / TICKS_PER_SECOND;
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

impl fmt::Debug for NtTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NtTime({self})")
    }
}

/// Year, month and day of the Gregorian calendar, `days` after the beginning of 1601.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have the leap day at their end, and months of a regular length.
    const MARCH_1600_TO_1601: u64 = 306;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + MARCH_1600_TO_1601;
    let era_day = days % DAYS_IN_400_YEARS;
    let era_year = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let month = (5 * year_day + 2) / 153;
    let day = year_day - (153 * month + 2) / 5 + 1;
    let year = 1600 + days / DAYS_IN_400_YEARS * 400 + era_year + u64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}
