//! What can keep a run from its figures.

use std::path::PathBuf;

/// A run that could not be made to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused something.
    #[error("could not {doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The program that is proved is not where it is built.
    #[error(
        "there is no {}: build it with cargo build --release -p leveret -p leveret-loadtest",
        .0.display()
    )]
    NotBuilt(PathBuf),
    /// What is killed at its steps has none compiled in, or is not there.
    #[error(
        "{} has to be built with failpoints, and leveret-test-trouble beside it: {}",
        .0.display(),
        crate::fleet::program::how_to_build(.0)
    )]
    NoFailpoints(PathBuf),
    /// What shows processes a wrong clock is not installed.
    #[error(
        "libfaketime is missing, which shows processes a wrong clock: install Debian's package \
         faketime, as in `apt-get install faketime`, or build it and put it into /usr/local/lib/faketime"
    )]
    NoFaketime,
    /// A server of the run's own could not be had, or failed.
    #[error(transparent)]
    Node(#[from] leveret_nodes::Error),
    /// A part did not do what it has to.
    #[error("{part} {what}")]
    Unexpected {
        /// Which part.
        part: String,
        /// What it did instead.
        what: String,
    },
}

impl Error {
    /// Says that a part did something else than it has to.
    pub fn unexpected(part: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unexpected { part: part.into(), what: what.into() }
    }
}

/// Says what was being done when the machine refused.
pub fn while_doing(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::System { doing: doing.into(), source }
}
