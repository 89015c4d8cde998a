//! What can go wrong with a server.

use crate::Generation;

/// A server that could not be had, or does not do what it has to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine refused something.
    #[error("could not {doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A generation of the servers is not on this machine.
    #[error(
        "RabbitMQ {} and its Redis are not on this machine: scripts/services.sh up DIR makes them ready",
        .0.number()
    )]
    NotHere(Generation),
    /// Nothing may be mounted here.
    #[error(
        "a small disk cannot be mounted at {}: that takes root, or a sudo that asks nothing",
        .0.display()
    )]
    NoMount(std::path::PathBuf),
    /// A server did not do what it has to.
    #[error("{server} {what}")]
    Unexpected {
        /// Which server.
        server: String,
        /// What it did instead.
        what: String,
    },
}

impl Error {
    /// Says that a server did something else than it has to.
    pub(crate) fn unexpected(server: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Unexpected { server: server.into(), what: what.into() }
    }
}

/// Says what was being done when the machine refused.
pub(crate) fn while_doing(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::System { doing: doing.into(), source }
}
