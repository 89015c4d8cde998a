//! The exit codes: a closed list that scripts may rely on.
//!
//! The page `docs/exit-codes.md` is this enum in words, and a test compares the two. Which error
//! ends with which code is [`crate::error`]'s matter.

use std::process::ExitCode;

/// Every code with its name, as `docs/exit-codes.md` has them, and what it says in a few words.
pub(crate) const TABLE: [(Exit, &str, &str); 13] = [
    (Exit::Ok, "ok", "It did what was asked."),
    (Exit::Failed, "failed", "It failed in a way that no other code describes."),
    (Exit::Usage, "usage", "The command line is wrong."),
    (Exit::Config, "config", "The configuration is wrong."),
    (Exit::Unreachable, "unreachable", "Gateway, broker or store could not be reached."),
    (Exit::NotFound, "not-found", "The task or other named thing is not known."),
    (Exit::TaskEndedBadly, "task-ended-badly", "The task did not end as it should have."),
    (Exit::Refused, "refused", "The request was understood and refused."),
    (Exit::TimedOut, "timed-out", "The time given to wait ran out."),
    (Exit::InUse, "in-use", "Another process owns the data folder or the port."),
    (Exit::Unhealthy, "unhealthy", "The doctor found something that does not work."),
    (Exit::Declined, "declined", "A person was asked and said no."),
    (Exit::Interrupted, "interrupted", "A second signal ended it before the drain was over."),
];

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Ok,
    /// It failed in a way that no other code describes.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The configuration is wrong.
    Config,
    /// The gateway, broker or store could not be reached, did not answer or refused the login.
    Unreachable,
    /// The task or other named thing is not known.
    NotFound,
    /// The task that was waited for ended otherwise than it should have.
    TaskEndedBadly,
    /// The request was understood and refused.
    Refused,
    /// The time given to wait ran out.
    TimedOut,
    /// Another process owns the data folder or the port.
    InUse,
    /// The doctor found something that does not work.
    Unhealthy,
    /// A person was asked and said no.
    Declined,
    /// A second signal ended it before the drain was over.
    Interrupted,
}

impl Exit {
    /// Returns the number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Unreachable => 4,
            Self::NotFound => 5,
            Self::TaskEndedBadly => 6,
            Self::Refused => 7,
            Self::TimedOut => 8,
            Self::InUse => 9,
            Self::Unhealthy => 10,
            Self::Declined => 11,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_the_list_in_the_code() {
        let page = include_str!("../../docs/exit-codes.md");
        let documented: Vec<(String, String)> = page
            .lines()
            .filter_map(|line| {
                let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
                let (code, name) = (cells.nth(1)?, cells.next()?);
                code.parse::<u8>().ok()?;
                Some((code.to_owned(), name.to_owned()))
            })
            .collect();
        let coded: Vec<(String, String)> = TABLE
            .iter()
            .map(|(exit, name, _)| (exit.code().to_string(), (*name).to_owned()))
            .collect();
        assert_eq!(documented, coded);
    }
}
