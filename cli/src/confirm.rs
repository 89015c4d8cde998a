//! Asks before a command changes many things at once.
//!
//! Guards that a script which forgot `--yes` does nothing, instead of waiting for ever or going
//! ahead.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::Error;

/// How a bulk verb is told that it is meant.
pub(crate) const WAY_OUT: &str = "add --yes if it is meant, or --dry-run to see what it would do";

/// Tells whether somebody is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to `what`, such as "discard 3 dead letters"; fails unless the answer is yes.
pub(crate) fn ask(what: &str, way_out: &'static str) -> Result<(), Error> {
    if !can_ask() {
        return Err(Error::Unasked { what: what.to_owned(), way_out });
    }
    let mut told = io::stderr().lock();
    // Somebody who cannot be told cannot answer yes either.
    let _ = write!(told, "{}? [y/N] ", capital(what)).and_then(|()| told.flush());
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::unreadable("the answer", &error))?;
    match is_yes(&answer) {
        true => Ok(()),
        false => Err(Error::Declined),
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Yes\n", " YES \n"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n\n", "yep\n", "ja\n"] {
            assert!(!is_yes(no), "{no}");
        }
    }

    #[test]
    fn a_question_begins_with_a_capital() {
        assert_eq!(capital("discard 3 letters"), "Discard 3 letters");
    }
}
