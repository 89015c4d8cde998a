//! Secrets that cannot be printed by accident.
//!
//! Responsible for holding a token or a URL with a password, and for its redacted form. Guards
//! one invariant: `Debug` and `Display` never show the secret; only `expose` returns it, and a
//! refusal never quotes what it refused.

use std::fmt;

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "***";

/// A token or password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A server's URL that may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl Secret {
    /// Takes a secret as it is sent: visible ASCII, no spaces.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong, without the secret.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it holds spaces, control characters or letters outside ASCII".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the secret itself. It belongs into a request, never into a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretUrl {
    /// Takes a URL of one of the given schemes; the host must be there, the port must be one.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong, without any part of the URL.
    pub fn new(text: &str, schemes: &[&str]) -> Result<Self, String> {
        check_url(text, schemes)?;
        Ok(Self(text.to_owned()))
    }

    /// Takes the URL of a database: `postgresql://…`, whose host may be missing where a parameter
    /// names it, or `sqlite://` and the path of a file.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong, without any part of the URL.
    pub fn database(text: &str) -> Result<Self, String> {
        let rest_after = |scheme: &&str| text.strip_prefix(*scheme);
        if ["postgresql://", "postgres://"].iter().find_map(rest_after).is_some() {
            let is_written = text.bytes().all(|byte| byte.is_ascii_graphic());
            let why = "it holds spaces, control characters or letters outside ASCII; they are \
                       written as %20 and the like";
            return if is_written { Ok(Self(text.to_owned())) } else { Err(why.to_owned()) };
        }
        match text.strip_prefix("sqlite://") {
            None => Err("it does not begin with postgresql:// or sqlite://".to_owned()),
            Some("") => Err("it names no file".to_owned()),
            Some(path) if path.chars().any(char::is_control) => {
                Err("it holds control characters".to_owned())
            }
            Some(_) => Ok(Self(text.to_owned())),
        }
    }

    /// Returns the URL with its password. It belongs into a connection, never into a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(REDACTED)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl fmt::Display for SecretUrl {
    /// Writes the URL with `***` from the first `:` of the user part to the last `@`: a password
    /// may itself hold `@` or `/`, and hiding too much is the lesser mistake. With a `?` before the
    /// last `@`, which may be in a password or begin the parameters, all that follows is hidden.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        if let (Some(mark), Some(at)) = (rest.find('?'), rest.rfind('@'))
            && mark < at
        {
            let name = rest.split([':', '?']).next().unwrap_or_default();
            return formatter.pad(&format!("{scheme}://{name}:{REDACTED}"));
        }
        let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?***"));
        let shown = match rest.rsplit_once('@') {
            Some((user, host)) => match user.split_once(':') {
                Some((name, _)) => format!("{name}:{REDACTED}@{host}"),
                None => format!("{user}@{host}"),
            },
            None => rest.to_owned(),
        };
        formatter.pad(&format!("{scheme}://{shown}{query}"))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Checks scheme, host and port of a URL and returns its authority.
pub(super) fn check_url<'a>(text: &'a str, schemes: &[&str]) -> Result<&'a str, String> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it holds spaces, control characters or letters outside ASCII".to_owned());
    }
    let begins = schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>();
    let Some(rest) = begins.iter().find_map(|begin| text.strip_prefix(begin.as_str())) else {
        return Err(format!("it does not begin with {}", begins.join(" or ")));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    let names_several = SEVERAL.iter().any(|scheme| text.starts_with(scheme));
    let most = if names_several { usize::MAX } else { 1 };
    server.splitn(most, ',').try_for_each(check_server)?;
    Ok(authority)
}

/// What the URLs begin with that name several servers, with commas between.
const SEVERAL: [&str; 6] = [
    "amqp://",
    "amqps://",
    "redis-cluster://",
    "rediss-cluster://",
    "redis-sentinel://",
    "rediss-sentinel://",
];

fn check_server(server: &str) -> Result<(), String> {
    // An IPv6 address holds colons of its own, inside brackets.
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (server, None),
    };
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        return Err(
            "its port is not a number from 1 to 65535; `/`, `?`, `#` and `@` in a password \
             are written as %2F, %3F, %23 and %40"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AMQP: &[&str] = &["amqp", "amqps"];

    #[test]
    fn a_url_is_printed_without_its_password() {
        for (url, shown) in [
            ("amqp://leveret:geheim@host", "amqp://leveret:***@host"),
            ("amqps://leveret:geheim@host:5671/main", "amqps://leveret:***@host:5671/main"),
            ("amqp://leveret:ge@heim@host", "amqp://leveret:***@host"),
            ("amqp://:geheim@host", "amqp://:***@host"),
            ("amqp://leveret@host", "amqp://leveret@host"),
            ("amqp://host:5672/%2f", "amqp://host:5672/%2f"),
            ("amqp://leveret:geheim@a:1,b/main", "amqp://leveret:***@a:1,b/main"),
            ("amqp://[::1]:5672", "amqp://[::1]:5672"),
            ("amqp://host?password=geheim", "amqp://host?***"),
        ] {
            let secret = SecretUrl::new(url, AMQP).unwrap();
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), shown);
            assert_eq!(secret.expose(), url);
        }
        assert_eq!(format!("{:?}", Secret::new("geheim").unwrap()), "***");
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_quoted() {
        for (url, why) in [
            ("geheim", "it does not begin with amqp:// or amqps://"),
            ("redis://u:geheim@host", "it does not begin with amqp:// or amqps://"),
            ("amqp://", "it names no host"),
            ("amqp://u:geheim@", "it names no host"),
            ("amqp://u:geheim", "its port is not a number"),
            ("amqp://u:ge/heim@host", "its port is not a number"),
            ("amqp://host:0", "its port is not a number"),
            ("amqp://u:geheim@a:1,b:0", "its port is not a number"),
            ("amqp://u:geheim@a,,b", "it names no host"),
            ("amqp://u:geheim@host:70000", "its port is not a number"),
            ("amqp://ho st", "it holds spaces"),
        ] {
            let error = SecretUrl::new(url, AMQP).unwrap_err();
            assert!(error.starts_with(why), "{url}: {error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn a_database_is_a_server_or_a_file_and_a_wrong_one_is_not_quoted() {
        for (url, shown) in [
            ("postgres://shop:geheim@host/app", "postgres://shop:***@host/app"),
            ("postgresql:///app?host=/run/postgresql", "postgresql:///app?***"),
            ("sqlite:///var/lib/my app/app.db", "sqlite:///var/lib/my app/app.db"),
            ("sqlite://app.db", "sqlite://app.db"),
        ] {
            assert_eq!(SecretUrl::database(url).unwrap().to_string(), shown);
        }
        for url in ["mysql://u:geheim@host", "sqlite://", "geheim", "postgres://u:ge heim@host"] {
            assert!(!SecretUrl::database(url).unwrap_err().contains("geheim"));
        }
    }

    #[test]
    fn a_question_mark_before_the_host_hides_all_that_follows() {
        for (url, shown) in [
            ("postgres://shop:ge?heim@host/app", "postgres://shop:***"),
            ("postgres://host/app?password=ge@heim", "postgres://host/app:***"),
            ("postgres://shop@host/app?user=a@b", "postgres://shop@host/app:***"),
        ] {
            assert_eq!(SecretUrl::database(url).unwrap().to_string(), shown);
        }
        let url = "amqp://user:12?geheim@host";
        assert_eq!(SecretUrl::new(url, AMQP).unwrap().to_string(), "amqp://user:***");
    }

    /// What is in no other part of a URL here, with all that divides one.
    const PASSWORD: &str = "[A-Z89@:/?#%&=]{1,12}";

    fn is_hidden(said: &str) -> bool {
        !said.bytes().any(|byte| byte.is_ascii_uppercase() || matches!(byte, b'8' | b'9'))
    }

    proptest! {
        #[test]
        fn not_a_letter_of_a_password_is_ever_printed(password in PASSWORD) {
            for (url, schemes) in [
                (format!("amqp://user:{password}@host:5672/vhost"), AMQP),
                (format!("redis://:{password}@host/1"), &["redis"]),
                (format!("amqps://user:{password}@host,host:5671?heartbeat=5"), AMQP),
            ] {
                let said = SecretUrl::new(&url, schemes)
                    .map_or_else(|error| error, |secret| format!("{secret} {secret:?}"));
                // A refusal tells how a character is written, and which ports there are.
                let said = said.replace("65535", "").replace("%2F, %3F, %23 and %40", "");
                prop_assert!(is_hidden(&said), "{}", said);
            }
        }

        #[test]
        fn not_a_letter_of_a_databases_password_is_ever_printed(password in PASSWORD) {
            for url in [
                format!("postgres://shop:{password}@host/app"),
                format!("postgresql:///app?host=/run&user=shop&password={password}"),
                format!("postgres://shop@host/app?password={password}"),
            ] {
                let said = SecretUrl::database(&url).unwrap().to_string();
                prop_assert!(is_hidden(&said), "{}", said);
            }
        }
    }
}
