//! From the args document to the type that a handler takes.

use leveret_producer::task::Task;
use serde::de::DeserializeOwned;

use super::TaskError;

/// How a kind's args are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    /// Whether the error may hold what stands in the args.
    is_open: bool,
}

impl Reader {
    /// Reads args of which nothing is hidden.
    pub(super) const OPEN: Self = Self { is_open: true };

    /// Reads args of the type `T`.
    pub(super) const fn of<T: Task>() -> Self {
        Self { is_open: T::REDACTED.is_empty() }
    }

    /// Reads `json`.
    ///
    /// # Errors
    /// A failure of class `args`: by policy, because a newer worker may understand what this one does
    /// not.
    pub(super) fn read<A: DeserializeOwned>(self, json: &[u8]) -> Result<A, TaskError> {
        serde_json::from_slice(json).map_err(|error| {
            let why = match self.is_open {
                true => format!("the args do not fit: {error}"),
                false => format!(
                    "the args do not fit, at line {} column {}; what stands there is not shown, \
                     because the type redacts fields",
                    error.line(),
                    error.column(),
                ),
            };
            TaskError::failed("args", why)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Card;

    impl Task for Card {
        const KIND: &'static str = "card.charge";
        const REDACTED: &'static [&'static str] = &["number"];
    }

    struct Open;

    impl Task for Open {
        const KIND: &'static str = "open";
    }

    fn why(reader: Reader) -> String {
        reader.read::<u64>(br#" "4111-1111""#).unwrap_err().to_string()
    }

    #[test]
    fn the_error_of_args_that_do_not_fit_shows_nothing_of_a_type_that_redacts() {
        assert!(why(Reader::of::<Open>()).contains("string \"4111-1111\", expected u64"));
        let hidden = why(Reader::of::<Card>());
        assert!(hidden.contains("at line 1 column 12"), "{hidden}");
        assert!(!hidden.contains("4111"), "{hidden}");
    }
}
