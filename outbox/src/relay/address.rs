//! Where an outbox is: a PostgreSQL server or an SQLite file, as `outbox.url` names it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use leveret_common::spawn::Spawner;
use tokio_postgres::config::{Host, SslMode};

use super::Config;
use super::error::RelayError;
use super::line::CONNECT;
use super::postgres::Postgres;
use super::source::Source;
use super::sqlite::Sqlite;

/// How long a connection may be silent before the system asks whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long a connection may stay unanswered.
const UNANSWERED: Duration = Duration::from_secs(30);

/// Where an outbox is.
#[derive(Debug, Clone)]
pub struct Address {
    place: Place,
    endpoint: String,
}

#[derive(Debug, Clone)]
enum Place {
    Postgres(Box<tokio_postgres::Config>),
    Sqlite(PathBuf),
}

impl Address {
    /// Returns host, port and database, or the file; never a password.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) async fn open(
        &self,
        config: &Config,
        spawner: &Spawner,
    ) -> Result<Box<dyn Source>, RelayError> {
        let endpoint = self.endpoint.clone();
        Ok(match &self.place {
            Place::Postgres(server) => {
                Box::new(Postgres::open(server, endpoint, config.kept, spawner).await?)
            }
            Place::Sqlite(path) => {
                Box::new(Sqlite::open(path.clone(), config.kept, spawner.clone()).await?)
            }
        })
    }
}

impl FromStr for Address {
    type Err = RelayError;

    fn from_str(url: &str) -> Result<Self, RelayError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            let place = Place::Sqlite(path.into());
            return Ok(Self { place, endpoint: path.to_owned() });
        }
        let server = server(url)?;
        let endpoint = endpoint(&server);
        Ok(Self { place: Place::Postgres(Box::new(server)), endpoint })
    }
}

fn server(url: &str) -> Result<tokio_postgres::Config, RelayError> {
    // `require` verifies here, so what others call verify-full is the same.
    let url = url.replace("sslmode=verify-full", "sslmode=require");
    let wrong = |why: String| RelayError::Address(why);
    let mut server: tokio_postgres::Config =
        url.parse().map_err(|error: tokio_postgres::Error| {
            let why = crate::postgres::told(&error);
            wrong(format!("{why}; write postgresql://user:password@host:5432/database"))
        })?;
    if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
        let why = "it names no host; a socket's folder is one, too: \
                   postgresql://user@/database?host=/run/postgresql";
        return Err(wrong(why.to_owned()));
    }
    if !url.contains("sslmode=") && server.get_hosts().iter().all(is_here) {
        // Whoever listens on this machine needs no certificate to be believed, and what
        // distributions install by themselves for it would not be.
        server.ssl_mode(SslMode::Disable);
    }
    if server.get_connect_timeout().is_none() {
        server.connect_timeout(CONNECT);
    }
    if server.get_application_name().is_none() {
        server.application_name("leveret relay");
    }
    server.keepalives_idle(KEEPALIVE).tcp_user_timeout(UNANSWERED);
    Ok(server)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

fn endpoint(server: &tokio_postgres::Config) -> String {
    let ports = server.get_ports();
    let port = |place: usize| ports.get(place).or(ports.first()).copied().unwrap_or(5432);
    let host = |(place, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(place)),
        Host::Unix(folder) => format!("{}:{}", folder.display(), port(place)),
    };
    let hosts: Vec<String> = server.get_hosts().iter().enumerate().map(host).collect();
    format!("{}/{}", hosts.join(","), server.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        server(url).unwrap().get_ssl_mode()
    }

    #[test]
    fn a_server_elsewhere_is_reached_by_tls_where_it_has_it_and_one_here_without() {
        assert_eq!(mode("postgresql://app@db.example:5432/app"), SslMode::Prefer);
        assert_eq!(mode("postgresql://app@db.example/app?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgresql://app@db.example/app?sslmode=verify-full"), SslMode::Require);
        for url in [
            "postgresql://app@localhost/app",
            "postgresql://app@127.0.0.1/app",
            "postgresql:///app?host=/run/postgresql",
        ] {
            assert_eq!(mode(url), SslMode::Disable, "{url}");
        }
        assert_eq!(mode("postgresql://app@localhost/app?sslmode=require"), SslMode::Require);
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let shown = |url: &str| url.parse::<Address>().unwrap().endpoint().to_owned();
        assert_eq!(shown("postgres://shop:geheim@db:6543/app"), "db:6543/app");
        assert_eq!(shown("postgres:///app?host=/run/postgresql"), "/run/postgresql:5432/app");
        assert_eq!(shown("sqlite:///var/lib/app.db"), "/var/lib/app.db");
    }

    #[test]
    fn a_wrong_address_says_what_to_write() {
        for (url, why) in [
            ("postgres:///app", "it names no host"),
            ("postgres://db/app?sslmode=sometimes", "write postgresql://"),
            ("postgres://db/app?colour=red", "write postgresql://"),
        ] {
            let error = url.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("outbox.url"), "{error}");
        }
    }
}
