//! The JSON text of a [`Dump`].

use std::fmt::{self, Write};

use super::{Dump, DumpEntry};

impl Dump {
    /// The dump as one JSON object (RFC 8259) on one line.
    ///
    /// | Key | Value |
    /// |---|---|
    /// | `outstanding` | how many entries there are |
    /// | `entries` | the entries, each parent directly before its children |
    ///
    /// and in each entry:
    ///
    /// | Key | Value |
    /// |---|---|
    /// | `kind` | what it is |
    /// | `file`, `line`, `column` | where it was created |
    /// | `age` | how long it has been outstanding, in seconds |
    /// | `depth` | how many ancestors it has |
    /// | `progress` | `null`, or an object with the numbers `done` and `total`, which may be `null` |
    ///
    /// # Examples
    /// ```
    /// use tevent::{Context, Request};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let ctx = Context::new()?;
    /// let (request, completer) = Request::<()>::pair(&ctx, "lookup");
    /// let json = ctx.dump().to_json();
    /// assert!(json.starts_with(r#"{"outstanding":1,"entries":[{"kind":"lookup","file":""#));
    /// # drop((request, completer));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        struct Json<'a>(&'a Dump);

        impl fmt::Display for Json<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let entries = self.0.entries();
                write!(f, "{{\"outstanding\":{},\"entries\":[", entries.len())?;
                for (index, entry) in entries.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    write_entry(entry, f)?;
                }
                f.write_str("]}")
            }
        }

        Json(self).to_string()
    }
}

fn write_entry(entry: &DumpEntry, f: &mut impl Write) -> fmt::Result {
    f.write_str("{\"kind\":")?;
    write_string(entry.kind, f)?;
    f.write_str(",\"file\":")?;
    write_string(entry.location.file(), f)?;
    let (line, column) = (entry.location.line(), entry.location.column());
    write!(f, ",\"line\":{line},\"column\":{column}")?;
    let (seconds, micros) = (entry.age.as_secs(), entry.age.subsec_micros());
    write!(
        f,
        ",\"age\":{seconds}.{micros:06},\"depth\":{}",
        entry.depth
    )?;
    f.write_str(",\"progress\":")?;
    match entry.progress {
        None => f.write_str("null")?,
        Some(progress) => {
            write!(f, "{{\"done\":{},\"total\":", progress.done)?;
            match progress.total {
                None => f.write_str("null}")?,
                Some(total) => write!(f, "{total}}}")?,
            }
        }
    }
    f.write_char('}')
}

/// Writes `text` as a JSON string.
fn write_string(text: &str, f: &mut impl Write) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_escape_what_json_reserves() {
        let mut json = String::new();
        write_string("a \"b\" \\ c\n\x1f é", &mut json).expect("a string takes it");
        assert_eq!(json, r#""a \"b\" \\ c\u000a\u001f é""#);
    }
}
