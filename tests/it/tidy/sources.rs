//! The source files of the workspace, found through its manifest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lexer::{Token, lex, without_tests};

/// One source file, with what the rules ask about it.
#[derive(Debug)]
pub(super) struct Source {
    /// The folder of its crate: `tsocket-bsd`.
    pub(super) member: String,
    /// Below that folder, with `/`: `src/stream/ops.rs`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// A file that exists only in a test.
    pub(super) fn sample(member: &str, path: &str, text: &str) -> Self {
        Self {
            member: member.to_owned(),
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Below the workspace: `tsocket/src/stream/ops.rs`.
    pub(super) fn full_path(&self) -> String {
        format!("{}/{}", self.member, self.path)
    }

    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether this is part of what a library's users get; daemons and tests are not.
    pub(super) fn is_library(&self) -> bool {
        self.path.starts_with("src/") && !["examples", "tests"].contains(&self.member.as_str())
    }

    /// Whether the rules about names leave this file alone: the tour in `lib.rs` names everything, and a
    /// test may.
    pub(super) fn may_name_anything(&self) -> bool {
        !self.is_library() || self.path == "src/lib.rs"
    }

    /// The module below the root of its crate that this file is, or is part of: `stream` for
    /// `src/stream/ops.rs`.
    pub(super) fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = below.split('/').next().unwrap_or(below);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The number of `super`s that lead from this file to the root of its crate.
    pub(super) fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').count()
    }

    /// All code.
    pub(super) fn code(&self) -> Vec<Token<'_>> {
        lex(&self.text)
    }

    /// The code without the file's tests; nothing of a file that is all tests.
    pub(super) fn code_without_tests(&self) -> Vec<Token<'_>> {
        let is_all_tests = self.file_name() == "tests.rs" || self.path.contains("/tests/");
        if is_all_tests {
            Vec::new()
        } else {
            without_tests(&self.code())
        }
    }
}

/// The folder with the workspace's manifest.
pub(super) fn workspace() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member
        .parent()
        .expect("the tests are a folder of the workspace")
}

/// The folders that the `members` of `manifest` name.
pub(super) fn members(manifest: &str) -> Vec<String> {
    let list = manifest
        .split_once("members = [")
        .expect("the manifest of a workspace")
        .1;
    let list = list.split_once(']').expect("a list has an end").0;
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Every source file of every member, sorted.
pub(super) fn read_all() -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for member in members(&fs::read_to_string(workspace().join("Cargo.toml"))?) {
        let root = workspace().join(&member);
        let mut files = Vec::new();
        collect(&root, &mut files)?;
        for file in files {
            let below = file.strip_prefix(&root).expect("found below its root");
            let path = below
                .to_str()
                .expect("source files have plain names")
                .to_owned();
            sources.push(Source {
                member: member.clone(),
                path,
                text: fs::read_to_string(&file)?,
            });
        }
    }
    sources.sort_by_key(Source::full_path);
    Ok(sources)
}

/// Adds the Rust files below `folder`. Leaves out build output and whatever has a manifest of its own.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_foreign = path.ends_with("target") || path.join("Cargo.toml").exists();
        if path.is_dir() {
            if !is_foreign {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_from_one_line_or_several() {
        assert_eq!(
            members("[workspace]\nmembers = [\"a\", \"b-c\"]\nexclude = [\"d\"]"),
            ["a", "b-c"]
        );
        assert_eq!(
            members("[workspace]\nmembers = [\n    \"a\",\n    \"b\",\n]\n"),
            ["a", "b"]
        );
    }

    #[test]
    fn a_file_knows_its_module_and_how_far_the_root_is() {
        let nested = Source::sample("tsocket", "src/stream/ops.rs", "");
        assert_eq!(
            (nested.module(), nested.depth(), nested.is_library()),
            ("stream", 2, true)
        );
        let plain = Source::sample("tevent", "src/fd.rs", "");
        assert_eq!(
            (plain.module(), plain.depth(), plain.file_name()),
            ("fd", 1, "fd.rs")
        );
        assert!(!Source::sample("tsocket-bsd", "tests/a.rs", "").is_library());
        assert!(!Source::sample("examples", "src/bin/echod.rs", "").is_library());
    }

    #[test]
    fn the_walk_finds_every_member_and_this_file() -> io::Result<()> {
        let sources = read_all()?;
        for member in members(&fs::read_to_string(workspace().join("Cargo.toml"))?) {
            assert!(
                sources.iter().any(|source| source.member == member),
                "{member} has no source"
            );
        }
        assert!(
            sources
                .iter()
                .any(|source| source.full_path() == "tests/it/tidy/sources.rs")
        );
        Ok(())
    }
}
