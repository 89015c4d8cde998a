//! Knocks at the HTTP door of a role on this machine: is it alive, is it ready?
//!
//! For the command `leveret probe` and for what a service manager is told, so that both say what an
//! orchestrator's own probe would see, listener included. Guards that a door which takes the
//! connection and says nothing is not waited for for ever.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::error::Error;

/// How long an answer may take: a gateway looks at its servers for up to 2 s before it speaks.
const PATIENCE: Duration = Duration::from_secs(4);
/// Most of an answer that is shown.
const SHOWN: usize = 300;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Is it alive?
    Live,
    /// Is it ready?
    Ready,
}

impl Question {
    const fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
        }
    }
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It says yes, in these words.
    Yes(String),
    /// It says no, in these words.
    No(String),
    /// Nothing listens there.
    Nobody,
    /// It took the connection, and its answer did not come, or is none.
    Silence(String),
}

/// Asks doors.
pub(crate) struct Knocker {
    http: reqwest::Client,
}

impl Knocker {
    /// Creates one; connects with each question.
    pub(crate) fn new() -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            // The door is on this machine.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Nor is it behind TLS: a machine without certificates must not keep a role from starting.
            .tls_certs_only([])
            .timeout(PATIENCE)
            .user_agent(concat!("leveret/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| Error::System {
                operation: "set up the HTTP client",
                source: std::io::Error::other(source),
            })?;
        Ok(Self { http })
    }

    /// Asks the door at `listen`, which may be an address that listens everywhere.
    ///
    /// # Cancel safety
    /// Only asks.
    pub(crate) async fn ask(&self, listen: SocketAddr, question: Question) -> Heard {
        let url = format!("{}{}", url_of(listen), question.path());
        let answer = match self.http.get(url).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Heard::Nobody,
            Err(error) if error.is_timeout() => {
                return Heard::Silence(format!("no answer within {PATIENCE:?}"));
            }
            Err(error) => return Heard::Silence(error.to_string()),
        };
        let status = answer.status();
        let said = match answer.text().await {
            Ok(text) => words(&text),
            Err(error) => return Heard::Silence(error.to_string()),
        };
        match status {
            StatusCode::OK => Heard::Yes(said),
            StatusCode::SERVICE_UNAVAILABLE => Heard::No(said),
            other => Heard::Silence(format!("status {other}: {said}")),
        }
    }
}

/// Returns the URL at which this machine reaches what listens there.
pub(crate) fn url_of(listen: SocketAddr) -> String {
    format!("http://{}", reachable(listen))
}

/// Returns an address that can be connected to: one that listens everywhere is reached on this
/// machine.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Returns what people read of an answer: workers and beats speak plain text, a gateway JSON.
fn words(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let wrong = |document: &Value| {
        let each = |one: &Value| Some(format!("{}: {}", text(&one["field"])?, text(&one["why"])?));
        let all: Vec<String> = document["errors"].as_array()?.iter().filter_map(each).collect();
        (!all.is_empty()).then(|| all.join("; "))
    };
    let said = parsed.as_ref().and_then(|document| {
        wrong(document).or_else(|| text(&document["detail"])).or_else(|| text(&document["status"]))
    });
    let said = said.unwrap_or_else(|| body.trim().to_owned());
    said.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_listens_everywhere_is_reached_here() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()).to_string(), "10.0.0.1:80");
    }

    #[test]
    fn answers_of_every_role_are_read_in_words() {
        assert_eq!(words("ready; stands by\n"), "ready; stands by");
        assert_eq!(words(r#"{"status":"ready","version":"1"}"#), "ready");
        let problem = r#"{"detail":"d","errors":[{"field":"broker","why":"away"},{"field":"store","why":"slow"}]}"#;
        assert_eq!(words(problem), "broker: away; store: slow");
        assert_eq!(words(r#"{"detail":"d"}"#), "d");
        assert_eq!(words(&"x".repeat(9_000)).len(), SHOWN);
    }
}
