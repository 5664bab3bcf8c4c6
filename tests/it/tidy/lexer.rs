//! Rust source cut into words and signs, so that a rule reads code instead of comments and strings.

/// One word or sign of the code. Every string, character and number is the same [`LITERAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Counted from one.
    pub(super) line: usize,
}

/// What stands in for a literal: a rule shall not see what is in it.
pub(super) const LITERAL: &str = "\"\"";

/// A path as it is written, `use` trees taken apart: `use a::{b, c::d}` is `a::b` and `a::c::d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) segments: Vec<&'a str>,
    pub(super) line: usize,
}

/// Cuts `source` into tokens; comments, doc comments and lifetimes leave none.
pub(super) fn lex(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, text) = scan(rest, first);
        if let Some(text) = text {
            tokens.push(Token { text, line });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length in bytes of what `rest` begins with, beside the text of its token if it has one.
fn scan(rest: &str, first: char) -> (usize, Option<&str>) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), None);
    }
    if first == '"' {
        return (quoted(rest, '"'), Some(LITERAL));
    }
    if first == '\'' {
        return character_or_lifetime(rest);
    }
    if is_word_start(first) {
        return word_or_prefixed(rest);
    }
    if first.is_ascii_digit() {
        return (word_len(rest), Some(LITERAL));
    }
    let length = first.len_utf8();
    (length, (!first.is_whitespace()).then(|| &rest[..length]))
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

pub(super) fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(is_word_start)
}

fn word_len(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a literal that opens and closes with `quote`, where a backslash hides one character.
fn quoted(rest: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in rest.char_indices().skip(1) {
        if hidden {
            hidden = false;
        } else if c == '\\' {
            hidden = true;
        } else if c == quote {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

fn character_or_lifetime(rest: &str) -> (usize, Option<&str>) {
    let mut following = rest[1..].chars();
    let next = following.next();
    if next == Some('\\') || following.next() == Some('\'') {
        return (quoted(rest, '\''), Some(LITERAL));
    }
    (1 + word_len(&rest[1..]), None)
}

fn word_or_prefixed(rest: &str) -> (usize, Option<&str>) {
    let length = word_len(rest);
    let (word, after) = rest.split_at(length);
    match word {
        "b" | "c" if after.starts_with('"') => (length + quoted(after, '"'), Some(LITERAL)),
        "b" if after.starts_with('\'') => (length + quoted(after, '\''), Some(LITERAL)),
        "r" | "br" | "cr" if after.starts_with(['"', '#']) => {
            let hashes = after.len() - after.trim_start_matches('#').len();
            if !after[hashes..].starts_with('"') {
                // A raw identifier, `r#type`.
                let name = &after[hashes..];
                return (
                    length + hashes + word_len(name),
                    Some(&name[..word_len(name)]),
                );
            }
            let close = format!("\"{}", &after[..hashes]);
            let body = hashes + 1;
            let end = after[body..]
                .find(&close)
                .map_or(after.len(), |at| body + at + close.len());
            (length + end, Some(LITERAL))
        }
        _ => (length, Some(word)),
    }
}

/// `tokens` without the items under `#[cfg(test)]`: the tests at the bottom of a file.
pub(super) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = item_end(tokens, at);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    let starts_with = |texts: &[&str]| {
        tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(t, text)| t.text == *text)
    };
    starts_with(&["#", "[", "cfg", "(", "test", ")", "]"])
        || starts_with(&["#", "[", "cfg", "(", "all", "(", "test"])
        || starts_with(&["#", "[", "test", "]"])
}

/// The index behind the item whose attributes begin at `at`.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while at < tokens.len() && tokens[at].text == "#" {
        at = group_end(tokens, at + 1);
    }
    // A field, an arm or an argument ends at a comma; an item may have commas among its generics.
    let items = [
        "pub", "mod", "fn", "use", "impl", "struct", "enum", "trait", "const", "static",
    ];
    let is_item = tokens
        .get(at)
        .is_some_and(|token| items.contains(&token.text));
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            "{" => return group_end(tokens, at),
            "(" | "[" => at = group_end(tokens, at),
            ")" | "]" | "}" => return at,
            _ => at += 1,
        }
    }
    at
}

/// The index behind the bracket that closes the one at `at`.
fn group_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// All paths in `tokens`, single words included.
pub(super) fn paths<'a>(tokens: &[Token<'a>]) -> Vec<Path<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = path_at(tokens, at, &[], &mut found);
    }
    found
}

/// Takes the path at `at`, if one begins there, and returns the index behind it.
fn path_at<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    prefix: &[&'a str],
    found: &mut Vec<Path<'a>>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    if text(at) == "as" {
        return at + 2;
    }
    let is_glob = text(at) == "*" && !prefix.is_empty();
    if !is_word(text(at)) && !is_glob {
        return at + 1;
    }
    let line = tokens[at].line;
    let mut segments = prefix.to_vec();
    segments.push(text(at));
    at += 1;
    while text(at) == ":" && text(at + 1) == ":" {
        at += 2;
        if is_word(text(at)) || text(at) == "*" {
            segments.push(text(at));
            at += 1;
        } else if text(at) == "{" {
            let end = group_end(tokens, at);
            at += 1;
            while at + 1 < end {
                at = path_at(&tokens[..end - 1], at, &segments, found);
            }
            return end;
        } else {
            break;
        }
    }
    found.push(Path { segments, line });
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        lex(source).into_iter().map(|token| token.text).collect()
    }

    fn path_texts(source: &str) -> Vec<String> {
        paths(&lex(source))
            .iter()
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn comments_leave_no_token() {
        assert_eq!(texts("a // b\nc /// d\n//! e\nf"), ["a", "c", "f"]);
        assert_eq!(texts("a /* b /* c */ d */ e /** f */"), ["a", "e"]);
        assert_eq!(texts("a / b /* never closed"), ["a", "/", "b"]);
    }

    #[test]
    fn strings_are_one_literal_whatever_is_in_them() {
        assert_eq!(texts(r#"f("unsafe // \" \\")"#), ["f", "(", LITERAL, ")"]);
        assert_eq!(texts("\"two\nlines\" b"), [LITERAL, "b"]);
        assert_eq!(texts(r#"b"\"x" c"y" z"#), [LITERAL, LITERAL, "z"]);
        assert_eq!(texts(r###"r"\" r#"a " b"# br##""# "## cr#""# x"###), {
            [LITERAL, LITERAL, LITERAL, LITERAL, "x"]
        });
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert_eq!(texts("&'a str"), ["&", "str"]);
        assert_eq!(texts("'a' '\\'' '\"' b'\\'' '/' x"), {
            [LITERAL, LITERAL, LITERAL, LITERAL, LITERAL, "x"]
        });
        assert_eq!(
            texts("'outer: loop { break 'outer }"),
            [":", "loop", "{", "break", "}"]
        );
        assert_eq!(
            texts("f::<'_>('ä')"),
            ["f", ":", ":", "<", ">", "(", LITERAL, ")"]
        );
    }

    #[test]
    fn numbers_and_raw_identifiers_are_told_apart() {
        assert_eq!(texts("0..1_0u32"), [LITERAL, ".", ".", LITERAL]);
        assert_eq!(texts("r#type r b"), ["type", "r", "b"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let tokens = lex("a\n/* \n */ b \"\n\n\" c // d\ne");
        let lines: Vec<_> = tokens
            .iter()
            .map(|token| (token.text, token.line))
            .collect();
        assert_eq!(
            lines,
            [("a", 1), ("b", 3), (LITERAL, 3), ("c", 5), ("e", 6)]
        );
    }

    #[test]
    fn test_items_are_cut_out() {
        let kept = |source| {
            let tokens = without_tests(&lex(source));
            tokens
                .iter()
                .map(|token| token.text)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            kept("a; #[cfg(test)] mod tests { fn f() { b } } c"),
            "a ; c"
        );
        assert_eq!(kept("#[cfg(test)] mod tests; a"), "a");
        assert_eq!(
            kept("#[cfg(test)] #[derive(A)] pub fn f<B, C>() -> [u8; 3] { d } e"),
            "e"
        );
        assert_eq!(
            kept("struct A { #[cfg(test)] b: C, d: E }"),
            "struct A { d : E }"
        );
        assert_eq!(kept("struct A { #[cfg(test)] b: C }"), "struct A { }");
        assert_eq!(
            kept("#[cfg(not(test))] a #[cfg(all(test, unix))] fn b() {} c"),
            { "# [ cfg ( not ( test ) ) ] a c" }
        );
        assert_eq!(kept("#[test] fn a() {} b"), "b");
    }

    #[test]
    fn use_trees_are_taken_apart() {
        assert_eq!(path_texts("use a::{b, c::{self, d as e}, f::*}; g"), {
            ["use", "a::b", "a::c::self", "a::c::d", "a::f::*", "g"]
        });
        assert_eq!(path_texts("use a::*; use b::{*}; c * d"), {
            ["use", "a::*", "use", "b::*", "c", "d"]
        });
        assert_eq!(
            path_texts("x.y::<Z>(std::io::stdout())"),
            ["x", "y", "Z", "std::io::stdout"]
        );
    }
}
