//! Which part of a file a `Range` header asks for (RFC 9110, section 14).

use std::ops::Range;

/// What is to be sent of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Bytes(Range<u64>),
    /// The range is beyond the end.
    Nothing,
}

/// Reads `header` for a file of `len` bytes.
///
/// One range of bytes is served. Several at once, another unit or anything that is no range mean the
/// whole file: a server may ignore the header.
pub(crate) fn parse(header: &str, len: u64) -> Part {
    one_range(header, len).unwrap_or(Part::Whole)
}

fn one_range(header: &str, len: u64) -> Option<Part> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = if first.is_empty() {
        let suffix = number(last)?;
        len.saturating_sub(suffix)..len
    } else {
        let first = number(first)?;
        let last = if last.is_empty() {
            u64::MAX
        } else {
            number(last)?
        };
        if last < first {
            return None;
        }
        first..last.saturating_add(1).min(len)
    };
    Some(if range.is_empty() {
        Part::Nothing
    } else {
        Part::Bytes(range)
    })
}

/// A number of digits alone; one that is too large is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_of_the_file() {
        for (header, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=2-5", Part::Bytes(2..6)),
            ("bytes=2-", Part::Bytes(2..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-30", Part::Bytes(0..10)),
            ("Bytes= 9-99999999999999999999999", Part::Bytes(9..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes", Part::Whole),
        ] {
            assert_eq!(parse(header, 10), expected, "{header}");
        }
        assert_eq!(parse("bytes=-1", 0), Part::Nothing);
    }
}
