//! What `store.url` says: `redis://` one server, `redis-sentinel://` the primary that sentinels name,
//! `redis-cluster://` a cluster; `rediss…` the same with TLS.

use std::sync::Arc;

use deadpool_redis::redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use deadpool_redis::redis::{
    Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError,
    TlsMode,
};
use tokio::sync::Mutex;

use super::{Way, tcp_settings};
use crate::store::redis::fault::Endpoint;
use crate::store::{StoreError, StoreErrorKind};

/// Where a sentinel listens unless the URL says otherwise.
const SENTINEL_PORT: u16 = 26_379;

/// Reads the URL that the configuration has under `key`.
///
/// # Errors
/// When it is none of the forms, or asks for TLS where the program has none; never with its text,
/// which may hold a password.
pub(in crate::store::redis) fn read(
    url: &str,
    key: &'static str,
) -> Result<(Way, Endpoint), StoreError> {
    let refuse = |why: String| StoreError {
        operation: "open a connection",
        endpoint: key.to_owned(),
        kind: StoreErrorKind::Refused,
        why,
        source: None,
    };
    if url.starts_with("rediss") || url.starts_with("valkeys:") {
        if cfg!(not(feature = "tls")) {
            return Err(refuse(
                "this program speaks no TLS: build it with the feature `tls`, or name a port \
                 without TLS"
                    .to_owned(),
            ));
        }
        // The client takes the process's provider and panics without one. Where one is installed
        // already, it stays.
        #[cfg(feature = "tls")]
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let read = match url.split_once("://") {
        Some(("redis-cluster", rest)) => cluster("redis", rest, key),
        Some(("rediss-cluster", rest)) => cluster("rediss", rest, key),
        Some(("redis-sentinel", rest)) => sentinels("redis", rest, key),
        Some(("rediss-sentinel", rest)) => sentinels("rediss", rest, key),
        _ => server(url, key),
    };
    read.map_err(refuse)
}

fn server(url: &str, key: &'static str) -> Result<(Way, Endpoint), String> {
    let info = info(url).map_err(|error| {
        format!("it is not a Redis URL ({error}); write redis://[user][:password@]host:port/db")
    })?;
    let endpoint = Endpoint::of(&info, key);
    let client = Client::open(info).map_err(|error| error.to_string())?;
    Ok((Way::Server(client), endpoint))
}

fn cluster(scheme: &str, rest: &str, key: &'static str) -> Result<(Way, Endpoint), String> {
    const FORM: &str = "write redis-cluster://[user][:password@]host:port[,host:port…]";
    let (login, hosts, path) = split(rest);
    if !path.is_empty() && path != "0" {
        return Err(format!("a cluster has one database, and no names; {FORM}"));
    }
    let nodes: Vec<ConnectionInfo> = hosts
        .map(|host| info(&format!("{scheme}://{login}{host}/0")))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is not the URL of a cluster ({error}); {FORM}"))?;
    let endpoint = Endpoint::of_several(&nodes, "cluster", key);
    Ok((Way::Cluster(nodes.into()), endpoint))
}

fn sentinels(scheme: &str, rest: &str, key: &'static str) -> Result<(Way, Endpoint), String> {
    const FORM: &str =
        "write redis-sentinel://[user][:password@]host:port[,host:port…]/primary[/db]";
    let (login, hosts, path) = split(rest);
    let (primary, db) = path.split_once('/').unwrap_or((path, "0"));
    if primary.is_empty() {
        return Err(format!("it does not say how the sentinels call the primary; {FORM}"));
    }
    let unreadable =
        |error: RedisError| format!("it is not the URL of sentinels ({error}); {FORM}");
    // Login and database are the primary's.
    let servers = info(&format!("{scheme}://{login}localhost/{db}")).map_err(unreadable)?;
    let addresses: Vec<ConnectionInfo> =
        hosts
            .map(|host| {
                if host.contains(':') { host.to_owned() } else { format!("{host}:{SENTINEL_PORT}") }
            })
            .map(|host| format!("{scheme}://{host}").into_connection_info())
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
    let endpoint = Endpoint::of_several(&addresses, primary, key).with_user(&servers);
    let mut login = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(servers.redis_settings().clone())
        .set_tcp_settings(tcp_settings());
    if scheme == "rediss" {
        login = login.set_tls_mode(TlsMode::Secure);
    }
    let sentinels = Arc::new(Mutex::new(Sentinel::build(addresses).map_err(unreadable)?));
    Ok((Way::Sentinels { sentinels, primary: primary.into(), login }, endpoint))
}

/// Splits `[login@]host[,host…][/path]`; the login keeps its `@`.
fn split(rest: &str) -> (&str, impl Iterator<Item = &str>, &str) {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = authority.rfind('@').map_or(0, |at| at + 1);
    let (login, hosts) = authority.split_at(hosts);
    (login, hosts.split(','), path.trim_end_matches('/'))
}

fn info(url: &str) -> Result<ConnectionInfo, RedisError> {
    let info = url.into_connection_info()?;
    // RESP3, because only there the client tells at once that the server went away.
    let settings: RedisConnectionInfo =
        info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::fault::Fault;

    fn endpoint(url: &str) -> Result<String, String> {
        read(url, "store.url").map(|(_, endpoint)| endpoint.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn each_form_of_a_url_is_read() {
        for (url, told) in [
            ("redis://u:pw@db.example:7000/2", "db.example:7000/2"),
            ("redis-cluster://u:pw@a:7000,b:7001", "a:7000,b:7001 (cluster)"),
            ("redis-cluster://a,b:7001/0", "a:6379,b:7001 (cluster)"),
            ("redis-sentinel://u:pw@a,b:7/main/2", "a:26379,b:7 (main)"),
            ("redis-sentinel://a/main", "a:26379 (main)"),
        ] {
            assert_eq!(endpoint(url).as_deref(), Ok(told), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_with_its_form_and_without_its_password() {
        for (url, form) in [
            ("redis://:s3cret@127.0.0.1:0x/", "redis://[user]"),
            ("redis-cluster://:s3cret@a:7000,b:x", "redis-cluster://[user]"),
            ("redis-cluster://:s3cret@a:7000/3", "one database"),
            ("redis-sentinel://:s3cret@a:7000", "how the sentinels call"),
            ("redis-sentinel://:s3cret@a:y/main", "/primary[/db]"),
            ("redis-sentinel://:s3cret@a/main/second", "/primary[/db]"),
        ] {
            let error = read(url, "store.url").unwrap_err();
            assert!(error.why.contains(form), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn no_message_holds_the_password() {
        for url in [
            "redis://lea:s3cret@db.example:7000/2",
            "redis-cluster://lea:s3cret@db.example:7000,b:1",
            "redis-sentinel://lea:s3cret@db.example:7000/main",
        ] {
            let (way, endpoint) = read(url, "store.url").unwrap();
            let error =
                endpoint.error("read entries", Fault::corrupt("leveret:t:{x}", "it is odd"));
            let text = format!("{error} {error:?} {endpoint:?} {way:?}");
            assert!(text.contains("db.example:7000"), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}
