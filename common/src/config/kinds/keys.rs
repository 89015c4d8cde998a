//! The table of a kind's keys: what can be set, in which form, for which kinds.
//!
//! Reading a kind, the documentation and the report of a key that does not exist read this table,
//! so a key is added here and in [`KindSettings`] and nowhere else.

use std::time::Duration;

use super::super::Sources;
use super::super::value::{self, Raw};
use super::{KindSettings, given, parts};

/// The shortest and longest time limit of a kind.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30 * 86_400));

/// Which kinds have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// All.
    Every,
    /// Those that a program performs.
    Exec,
    /// Those whose args are posted.
    Http,
}

/// One key of a kind's table.
#[derive(Debug)]
pub struct KindKey {
    /// Its name in the table.
    pub name: &'static str,
    /// Which kinds have it.
    pub of: Of,
    /// What its value looks like.
    pub form: &'static str,
    /// What holds when it is left out, where there is something.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    pub(super) set: Set,
    pub(super) show: fn(&Raw) -> String,
}

pub(super) type Set = fn(&mut KindSettings, &Raw, &Sources) -> Result<(), String>;

impl Of {
    /// Returns the key that such kinds cannot be without; nothing where there is no such key.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Every => None,
            Self::Exec => Some("exec"),
            Self::Http => Some("http"),
        }
    }
}

const fn key(
    (name, of): (&'static str, Of),
    form: &'static str,
    default: Option<&'static str>,
    help: &'static str,
    set: Set,
) -> KindKey {
    KindKey { name, of, form, default, help, set, show: Raw::write }
}

impl KindKey {
    const fn shown(self, show: fn(&Raw) -> String) -> Self {
        Self { show, ..self }
    }
}

/// Every key of a kind's table.
pub const KIND_KEYS: &[KindKey] = &[
    key(
        ("exec", Of::Exec),
        "a list of texts: a program and its arguments",
        None,
        "The program that performs the kind, where `http` does not: args on stdin, result on stdout.",
        |kind, raw, _| parts::program(raw).map(|exec| kind.exec = exec),
    ),
    key(
        ("env", Of::Exec),
        "a table such as { LANG = \"C.UTF-8\", TOKEN = { file = \"/run/secrets/token\" } }",
        None,
        "Variables that the program finds in its environment.",
        |kind, raw, sources| parts::env(raw, sources).map(|env| kind.env = env),
    )
    .shown(given::hide_each),
    key(
        ("env_pass", Of::Exec),
        "a list of names such as [\"HOME\", \"LANG\"]",
        None,
        "Variables of the worker that the program finds as well, those of them that are set.",
        |kind, raw, sources| parts::env_pass(raw, sources).map(|pass| kind.env_pass = pass),
    ),
    key(
        ("cwd", Of::Exec),
        "a folder",
        None,
        "The folder that the program runs in; absent: the worker's own.",
        |kind, raw, sources| {
            value::path(raw).map(|folder| kind.cwd = Some(sources.working_dir.join(folder)))
        },
    ),
    key(
        ("http", Of::Http),
        "a URL, http://… or https://…, without user and password",
        None,
        "Where the args are posted to, where no program performs the kind; what is answered is the result.",
        |kind, raw, _| parts::url(raw).map(|url| kind.http = Some(url)),
    )
    .shown(parts::show_url),
    key(
        ("headers", Of::Http),
        "a table such as { authorization = { file = \"/run/secrets/authorization\" } }",
        None,
        "Headers of the requests, beside Leveret's own.",
        |kind, raw, sources| parts::headers(raw, sources).map(|headers| kind.headers = headers),
    )
    .shown(given::hide_each),
    key(
        ("secret", Of::Http),
        "a text of 16 characters or more, { file = \"…\" }, { env = \"…\" }, or a list of two of these",
        None,
        "What the requests are signed with; two while the receiver changes from one to the other.",
        |kind, raw, sources| parts::secrets(raw, sources).map(|secret| kind.secret = secret),
    )
    .shown(given::hide),
    key(
        ("allow", Of::Http),
        "a list of addresses, networks such as 10.0.0.0/8, and names",
        None,
        "What the name in `http` may lead to beside public addresses.",
        |kind, raw, _| parts::allow(raw).map(|allow| kind.allow = allow),
    ),
    key(
        ("schema", Of::Every),
        "a file",
        None,
        "The JSON Schema that the args must fit, at the gateway and before they run.",
        |kind, raw, sources| {
            value::path(raw).map(|file| kind.schema = Some(sources.working_dir.join(file)))
        },
    ),
    key(
        ("queue", Of::Every),
        "a queue",
        Some("default"),
        "The queue of tasks that name none.",
        |kind, raw, _| value::name(raw).map(|queue| kind.queue = Some(queue)),
    ),
    key(
        ("class", Of::Every),
        "critical, high, normal or low",
        Some("normal"),
        "The class of tasks that name none.",
        |kind, raw, _| value::name(raw).map(|class| kind.class = Some(class)),
    ),
    key(
        ("timeout", Of::Every),
        "a duration from 10ms to 30d",
        Some("worker.timeout"),
        "How long one attempt may take.",
        |kind, raw, _| {
            value::duration(raw, TIMEOUT.0, TIMEOUT.1).map(|limit| kind.timeout = Some(limit))
        },
    ),
    key(
        ("retry", Of::Every),
        "a table such as { backoff = \"exponential\", base = \"1s\", max_attempts = 8 }",
        Some("{ backoff = \"exponential\", jitter = \"equal\", max_attempts = 8 }"),
        "What happens after a failed attempt.",
        |kind, raw, _| parts::policy(raw).map(|policy| kind.retry = policy),
    ),
];
