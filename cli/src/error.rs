//! Why a command failed, for people, and with which exit code it ends.
//!
//! The messages of the crates below are already whole (what, on what, why, how to mend it) and are
//! passed on as they are; what is written here is what only the command line knows.

use std::fmt::{self, Display};
use std::io;

use leveret_beat::definition::Flaw;
use leveret_common::backend::OpenError;
use leveret_common::broker::BrokerError;
use leveret_common::config::Problems;
use leveret_common::duration::DurationText;
use leveret_common::embedded;
use leveret_common::name::KindName;
use leveret_common::shape::SchemaError;
use leveret_common::telemetry::{LoggingError, MetricsError};
use leveret_gateway::{GatewayError, TokenFileError};
use leveret_outbox::relay::RelayError;
use leveret_producer::Problem;
use leveret_worker::WorkerError;
use leveret_worker::handler::RegistryError;
use leveret_worker::handler::push::EndpointError;

use crate::client::{Operation, Refusal};
use crate::exit::Exit;
use crate::probe::ProbeError;

/// Tells why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] Problems),
    /// A role that several processes share was started without the servers that they share.
    #[error(
        "failed to start the {role}: the embedded backend belongs to one process; set broker.url \
         (RabbitMQ) and store.url (Redis), or start `leveret dev`, which is gateway and worker in \
         one process: other programs reach it through its gateway"
    )]
    NeedsServers {
        /// `worker` or `gateway`.
        role: &'static str,
    },
    /// Broker, store or data folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The gateway does not listen.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The token file cannot be used.
    #[error("{0}; it is named by gateway.token_file")]
    Tokens(#[from] TokenFileError),
    /// The program's handlers are wrong.
    #[error("{0}")]
    Kinds(#[from] RegistryError),
    /// Kinds have a handler in the program and one in the configuration.
    #[error(
        "failed to start: the program and the configuration both perform {}; remove one of the \
         two, the handler or the table [kinds.\"{}\"]",
        listed(.0),
        .0.first().map(KindName::as_str).unwrap_or_default()
    )]
    Clash(Vec<KindName>),
    /// A kind of the configuration cannot push.
    #[error("failed to make the handler of kind {kind} (kinds.\"{kind}\".http): {source}")]
    Endpoint {
        /// The kind.
        kind: KindName,
        /// What is wrong.
        source: EndpointError,
    },
    /// Schemas that kinds name cannot be used.
    #[error("failed to read the schemas of kinds: {}", of_kinds(.0))]
    Schemas(Vec<(KindName, SchemaError)>),
    /// The probe door of a worker or a beat does not open.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The worker failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A relay was started, or asked, without an outbox.
    #[error(
        "failed to find the outbox: outbox.url is not set; write outbox.url = \
         \"postgresql://user:password@host:5432/database\", or sqlite:///folder/app.db, into \
         leveret.toml"
    )]
    NoOutbox,
    /// The outbox cannot be used.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Logging could not be set up.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// Metrics could not be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The operating system refused something.
    #[error("failed to {operation}: {source}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An argument's value is wrong.
    #[error("failed to read {what}: {why}")]
    Argument {
        /// The argument, or the file that it names.
        what: String,
        /// What is wrong with it and how to mend it.
        why: String,
    },
    /// Some of many schedules are wrong; nothing was done with any.
    #[error("failed to {operation}: {}", one_or_many(flaws))]
    Flawed {
        /// What was tried.
        operation: Operation,
        /// All that is wrong.
        flaws: Vec<Flaw>,
        /// The exit code.
        exit: Exit,
    },
    /// What was written is wrong; nobody was asked.
    #[error("failed to {operation}: {}", one_or_many(problems))]
    Invalid {
        /// What was tried.
        operation: Operation,
        /// All that is wrong, each with its field.
        problems: Vec<Told>,
    },
    /// The gateway did not answer, or not to the end.
    #[error("failed to {operation}: {}{note}", loss.text(url, why))]
    Unreachable {
        /// What was tried.
        operation: Operation,
        /// The gateway.
        url: String,
        /// What happened.
        why: String,
        /// What is known about the request's fate, with a separator; may be empty.
        note: String,
        /// How the answer was lost.
        loss: Loss,
    },
    /// What answers is no gateway of ours.
    #[error(
        "failed to {operation}: what answers at {url} is no Leveret gateway ({why}); name the \
         right one with --gateway-url"
    )]
    Alien {
        /// What was tried.
        operation: Operation,
        /// Where.
        url: String,
        /// What it answered.
        why: String,
    },
    /// The gateway said no.
    #[error("failed to {operation}: {}", behind(operation, refusal))]
    Refused {
        /// What was tried.
        operation: Operation,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// Some of many lines were refused.
    #[error("{refused} of {total} {noun} were not accepted; the others are")]
    SomeRefused {
        /// How many.
        refused: u64,
        /// Of how many.
        total: u64,
        /// Of what.
        noun: &'static str,
    },
    /// Some of several things that were named failed, and that was told one by one.
    #[error("failed for {failed} of {total}, as told above; the others are done")]
    SomeFailed {
        /// How many.
        failed: usize,
        /// Of how many.
        total: usize,
        /// The exit code of the first.
        exit: Exit,
    },
    /// A change to many things was neither confirmed nor could be asked about.
    #[error("refused to {what} without being asked: nobody can answer here; {way_out}")]
    Unasked {
        /// What would be done.
        what: String,
        /// How to say that it is meant.
        way_out: &'static str,
    },
    /// A person said no.
    #[error("nothing was done: it was declined")]
    Declined,
    /// The doctor found something that does not work.
    #[error("{bad} of {total} findings are bad: each says how to mend it")]
    Unhealthy {
        /// How many.
        bad: usize,
        /// Of how many.
        total: usize,
    },
    /// A role that was asked says that it is not ready, or not alive.
    #[error("the {role} at {url} says no: {why}")]
    NotReady {
        /// The role.
        role: &'static str,
        /// Its door.
        url: String,
        /// What it says.
        why: String,
    },
    /// A role that was asked did not answer, or not as a role of ours does.
    #[error("the {role} at {url} did not answer as it should: {why}")]
    NoAnswer {
        /// The role.
        role: &'static str,
        /// Its door.
        url: String,
        /// What happened.
        why: String,
    },
    /// Nothing listens where a role was asked.
    #[error(
        "no role listens on this machine at {where_to}: start it, or name its address with the key \
         that it was started with (gateway.listen, worker.listen, beat.listen, \
         relay.listen)"
    )]
    NobodyHome {
        /// Where it was asked.
        where_to: String,
    },
    /// A role was asked that has no door.
    #[error("the {role} cannot be asked: {role}.listen is off; set it to an address")]
    NoDoor {
        /// The role.
        role: &'static str,
    },
    /// Many lines were to be sent, and it ended before the last.
    #[error(
        "{source}\n  lines 1 to {answered} are answered, later ones {rest}: send again from line {} \
         on (what has a key or an id is not doubled)",
        .answered + 1
    )]
    Stopped {
        /// How many lines were answered.
        answered: u64,
        /// What is known of the others.
        rest: &'static str,
        /// Why it ended.
        source: Box<Error>,
    },
    /// The task that was waited for ended otherwise than it should have.
    #[error("task {id} is {state}{why}")]
    EndedBadly {
        /// The task.
        id: String,
        /// How it ended.
        state: String,
        /// Its reason and last error, with a separator; may be empty.
        why: String,
    },
    /// The wait was too short.
    #[error("task {id} is still {state} after {}; it goes on: wait longer with --timeout, or look with `leveret task show {id}`", DurationText(*.waited))]
    TimedOut {
        /// The task.
        id: String,
        /// Where it stands.
        state: String,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// A second signal came during the drain.
    #[error(
        "ended at once by a second {signal}: what was running is not finished and runs again later"
    )]
    Interrupted {
        /// The signal.
        signal: &'static str,
    },
    /// The output could not be written.
    #[error("failed to write the output: {0}")]
    Output(#[from] io::Error),
}

fn listed(names: &[KindName]) -> String {
    names.iter().map(KindName::as_str).collect::<Vec<_>>().join(", ")
}

fn of_kinds(wrong: &[(KindName, SchemaError)]) -> String {
    let one = |(kind, error): &(KindName, SchemaError)| {
        format!("\n  kinds.{:?}.schema: {error}", kind.as_str())
    };
    wrong.iter().map(one).collect()
}

/// Tells how the gateway's answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing listens there: the request did not arrive.
    Absent,
    /// It took the request and said nothing for as long as it may take.
    Late,
    /// It took the request, and its answer broke off.
    Broken,
}

impl Loss {
    /// Says what happened and how to mend it.
    fn text(self, url: &str, why: &str) -> String {
        match self {
            Self::Absent => format!(
                "no gateway answers at {url} ({why}); start one with `leveret dev`, or name another \
                 with --gateway-url"
            ),
            Self::Late => format!(
                "the gateway at {url} did not answer in time ({why}); look at its log and its load, \
                 and set gateway.request_timeout here if it is longer there"
            ),
            Self::Broken => {
                format!("the gateway at {url} did not answer to the end ({why}): was it stopped?")
            }
        }
    }
}

impl Error {
    /// Creates the failure to read what an argument names.
    pub(crate) fn unreadable(name: &str, source: &io::Error) -> Self {
        Self::Argument { what: name.to_owned(), why: source.to_string() }
    }

    /// Creates the failure of something that is written wrongly.
    pub(crate) fn invalid(operation: impl Into<Operation>, problems: Vec<Problem>) -> Self {
        let problems = problems.into_iter().map(Told).collect();
        Self::Invalid { operation: operation.into(), problems }
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::NeedsServers { .. }
            | Self::Tokens(_)
            | Self::Kinds(_)
            | Self::Clash(_)
            | Self::Endpoint { .. }
            | Self::Schemas(_)
            | Self::NoOutbox
            | Self::Relay(RelayError::Address(_) | RelayError::NoTable { .. })
            | Self::NoDoor { .. } => Exit::Config,
            Self::Open(error) => opening(error),
            Self::Gateway(GatewayError::PortInUse(_)) => Exit::InUse,
            Self::Gateway(GatewayError::Exposed(_)) => Exit::Config,
            Self::Probe(error) if error.source.kind() == io::ErrorKind::AddrInUse => Exit::InUse,
            Self::Gateway(_)
            | Self::Probe(_)
            | Self::Worker(_)
            | Self::Logging(_)
            | Self::Metrics(_)
            | Self::System { .. }
            | Self::Output(_) => Exit::Failed,
            Self::Argument { .. } | Self::Unasked { .. } => Exit::Usage,
            Self::Unreachable { .. }
            | Self::Relay(_)
            | Self::Alien { .. }
            | Self::NobodyHome { .. }
            | Self::NoAnswer { .. } => Exit::Unreachable,
            Self::Refused { refusal, .. } => refusal.exit(),
            Self::SomeRefused { .. } | Self::Invalid { .. } => Exit::Refused,
            Self::SomeFailed { exit, .. } | Self::Flawed { exit, .. } => *exit,
            Self::Declined => Exit::Declined,
            Self::Unhealthy { .. } | Self::NotReady { .. } => Exit::Unhealthy,
            Self::Stopped { source, .. } => source.exit(),
            Self::EndedBadly { .. } => Exit::TaskEndedBadly,
            Self::TimedOut { .. } => Exit::TimedOut,
            Self::Interrupted { .. } => Exit::Interrupted,
        }
    }
}

/// Returns what the gateway said, without the beginning that says what was tried once more.
fn behind(operation: &Operation, refusal: &Refusal) -> String {
    let said = refusal.to_string();
    let again = format!("failed to {operation}: ");
    said.strip_prefix(&again).map_or_else(|| said.clone(), str::to_owned)
}

/// A problem with a field, as people are told it.
#[derive(Debug)]
pub(crate) struct Told(Problem);

impl Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.field, self.0.why)
    }
}

/// Lists what is wrong: one thing on the same line, several on lines of their own.
fn one_or_many(wrong: &[impl Display]) -> String {
    match wrong {
        [only] => only.to_string(),
        several => {
            let lines: Vec<_> = several.iter().map(|one| format!("\n  {one}")).collect();
            format!("{} problems{}", several.len(), lines.concat())
        }
    }
}

fn opening(error: &OpenError) -> Exit {
    match error {
        OpenError::Embedded(embedded::OpenError::Locked { .. }) => Exit::InUse,
        OpenError::Embedded(embedded::OpenError::OtherNamespace { .. }) => Exit::Config,
        OpenError::Broker(BrokerError::Connect { .. }) | OpenError::Store(_) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}
