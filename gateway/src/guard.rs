//! The guard: whether a request is let in at all, before anything of it is read.
//!
//! Three doors, in this order. *Host*: without tokens only this machine's own names are answered,
//! so that a web page cannot reach us by pointing its own name at 127.0.0.1 (DNS rebinding).
//! *Page*: what a browser sends on behalf of another page is refused. *Token*: where tokens are
//! set, one must be shown, except for the health probes, and for the API's document and its viewer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{Problem, Sort};
use crate::token::Tokens;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Paths that need no token: an orchestrator's probes carry none, and a browser that opens a page
/// cannot. What lies there is the same for everybody.
const OPEN: [&str; 4] = ["/livez", "/readyz", "/v1/openapi.json", "/docs"];
/// The files of the page.
const OPEN_BELOW: &str = "/docs/";

/// What the guard knows.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) listen: SocketAddr,
    pub(crate) tokens: Option<Tokens>,
}

/// Lets a request through, or answers it with why not.
pub(crate) async fn watch(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    match guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

impl Guard {
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = host(uri, headers)?;
        if self.tokens.is_none() && !self.is_ours(&host) {
            let listen = self.listen;
            let detail = format!(
                "without tokens the gateway answers only to localhost and {listen}, not to {host}; \
                 use one of those names, or set gateway.token_file"
            );
            return Err(Problem::new(Sort::WRONG_HOST, detail));
        }
        check_page(&host, headers)?;
        match &self.tokens {
            Some(tokens) if !is_open(uri.path()) => check_token(tokens, headers),
            Some(_) | None => Ok(()),
        }
    }

    /// Tells whether `host` is one of this machine's own names.
    fn is_ours(&self, host: &Authority) -> bool {
        let name = host.host();
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == self.listen.ip())
    }
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with(OPEN_BELOW)
}

/// Reads the name that the client called us by: exactly one.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let refuse = |detail: &str| Err(Problem::new(Sort::WRONG_HOST, detail));
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return refuse("send exactly one Host header");
    };
    let Some(host) = host.to_str().ok().and_then(|text| text.parse::<Authority>().ok()) else {
        return refuse("the Host header is no host; send one such as 127.0.0.1:7878");
    };
    if host.as_str().contains('@') {
        return refuse("the Host header holds a user; send host and port only");
    }
    match uri.authority() {
        Some(target) if target != &host => {
            refuse("the request's target and its Host header differ")
        }
        Some(_) | None => Ok(host),
    }
}

/// Refuses what a browser sends on behalf of another page. Other clients send none of this.
fn check_page(host: &Authority, headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let own = |scheme: &str| origin.as_bytes() == format!("{scheme}://{host}").as_bytes();
        if !own("http") && !own("https") {
            let detail = "the Origin header names another page; only pages of this gateway may \
                          call it from a browser";
            return Err(Problem::new(Sort::FOREIGN_PAGE, detail));
        }
    }
    match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => {
            let detail = "Sec-Fetch-Site says that another page asked; only pages of this gateway \
                          may call it from a browser";
            Err(Problem::new(Sort::FOREIGN_PAGE, detail))
        }
    }
}

fn check_token(tokens: &Tokens, headers: &HeaderMap) -> Result<(), Problem> {
    let (challenge, detail) = match headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) {
        None => (r#"Bearer realm="leveret""#, "send a token: Authorization: Bearer TOKEN"),
        Some(value) => {
            let scheme =
                value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
            if scheme && value.get(7..).is_some_and(|token| tokens.accept(token.trim_ascii())) {
                return Ok(());
            }
            (
                r#"Bearer realm="leveret", error="invalid_token""#,
                "the token is not one of those in gateway.token_file; send Authorization: Bearer TOKEN",
            )
        }
    };
    let problem = Problem::new(Sort::NO_TOKEN, detail);
    Err(problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let guard = Guard { listen: "127.0.0.5:7878".parse().unwrap(), tokens: None };
        guard.check(&Uri::from_static("/v1/tasks"), &headers).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for good in ["localhost", "LocalHost:7878", "127.0.0.1", "127.9.9.9:1", "[::1]:7878"] {
            assert!(check(&[("host", good)]), "{good}");
        }
        for bad in [
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "127.0.0.1.example.com:7878",
            "a@localhost",
            "0.0.0.0",
            "localhost.",
            "2130706433",
        ] {
            assert!(!check(&[("host", bad)]), "{bad}");
        }
        assert!(!check(&[]));
        assert!(!check(&[("host", "localhost"), ("host", "example.com")]));
    }

    #[test]
    fn another_page_is_refused_and_our_own_is_not() {
        let host = ("host", "localhost:7878");
        assert!(check(&[host, ("origin", "http://localhost:7878")]));
        for bad in ["http://localhost:3000", "https://example.com", "null", "", "localhost:7878"] {
            assert!(!check(&[host, ("origin", bad)]), "{bad}");
        }
        assert!(check(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(check(&[host, ("sec-fetch-site", "none")]));
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[host, ("sec-fetch-site", "same-site")]));
    }
}
