//! Tokens: the file that lists them, and the comparison.
//!
//! Guards that a token cannot be guessed by timing (every token is compared in constant time) and
//! is never printed, not even in the refusal of a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use subtle::{Choice, ConstantTimeEq};

/// Shortest token, in bytes: 16 random letters and digits are 95 bits.
const MIN_TOKEN: usize = 16;
/// Most bytes of a token file.
const MAX_FILE: u64 = 1 << 20;

/// The accepted tokens; at least one.
#[derive(Clone)]
pub struct Tokens(Vec<Box<[u8]>>);

/// Tells why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("failed to read the token file {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is no token.
    #[error("failed to use the token file {}: line {line} {why}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// It holds no token, or is no list of tokens.
    #[error("failed to use the token file {}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and how to mend it.
        why: String,
    },
}

impl Tokens {
    /// Reads a token file: one token per line, visible ASCII, at least 16 characters; empty lines
    /// and lines that begin with `#` are skipped. Warns when others may read the file.
    ///
    /// # Errors
    /// [`TokenFileError`], which names file and line and never quotes the line.
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        let unreadable = |source| TokenFileError::Read { path: path.to_owned(), source };
        let refuse =
            |why: &str| Err(TokenFileError::File { path: path.to_owned(), why: why.to_owned() });
        let found = std::fs::metadata(path).map_err(unreadable)?;
        if found.len() > MAX_FILE {
            return refuse("it is larger than 1 MiB; it should hold one token per line");
        }
        warn_if_open(path, &found);
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut tokens = Vec::new();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match check(line) {
                Ok(()) => tokens.push(line.as_bytes().into()),
                Err(why) => {
                    return Err(TokenFileError::Line {
                        path: path.to_owned(),
                        line: place + 1,
                        why,
                    });
                }
            }
        }
        if tokens.is_empty() {
            return refuse(
                "it holds no token; write one per line, such as the output of `openssl rand -hex 32`",
            );
        }
        Ok(Self(tokens))
    }

    /// Tells whether `given` is one of the tokens. Takes the same time whichever it is.
    #[must_use]
    pub fn accept(&self, given: &[u8]) -> bool {
        let mut accepted = Choice::from(0);
        for token in &self.0 {
            accepted |= token.ct_eq(given);
        }
        accepted.into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

fn check(token: &str) -> Result<(), String> {
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("holds spaces or letters outside ASCII; write one token per line".to_owned());
    }
    if token.len() < MIN_TOKEN {
        let len = token.len();
        return Err(format!("has {len} characters; a token has at least {MIN_TOKEN}"));
    }
    Ok(())
}

#[cfg(unix)]
fn warn_if_open(path: &Path, found: &std::fs::Metadata) {
    use std::os::unix::fs::PermissionsExt;
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            file = %path.display(),
            mode = format_args!("{mode:03o}"),
            "other users may read the token file; run chmod 600 on it"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path, _: &std::fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tokens, TokenFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Tokens::read(file.path())
    }

    #[test]
    fn each_line_is_a_token_and_comments_are_not() {
        let tokens = read("# ours\nfirst-token-0123456\n\n  second-token-012345  \n").unwrap();
        assert!(tokens.accept(b"first-token-0123456"));
        assert!(tokens.accept(b"second-token-012345"));
        for wrong in ["", "# ours", "first-token-012345", "first-token-0123456 "] {
            assert!(!tokens.accept(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{tokens:?}"), "2 tokens");
    }

    #[test]
    fn a_wrong_file_is_refused_without_being_quoted() {
        for (text, why) in [
            ("", "it holds no token"),
            ("# only a comment\n", "it holds no token"),
            ("# x\ngeheim\n", "line 2 has 6 characters"),
            ("geheim geheim geheim\n", "line 1 holds spaces"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
        let error = Tokens::read(Path::new("/nonexistent/tokens")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/tokens"), "{error}");
    }
}
