//! The servers that were started for the tests, as the environment names them.
//!
//! Responsible for fresh virtual hosts and namespaces, so that nothing is shared between tests;
//! starting servers is `scripts/services.sh`'s matter. A missing server skips aloud on a laptop
//! and fails where `CI=true`, so that a gap is never taken for a pass.

use tokio::sync::OnceCell;
use uuid::Uuid;

use super::management::Management;
use crate::name::Namespace;

/// Names of virtual hosts begin with this and the id of the process that made them.
const PREFIX: &str = "lvt-";

/// Reads one environment variable; empty counts as unset.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "tests are told about their servers this way")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the variable that names the rule which the processes of a test are to break, if any: a test
/// that clears their environment hands it on.
#[must_use]
pub fn sabotage() -> Option<(&'static str, String)> {
    const NAME: &str = "LEVERET_SABOTAGE";
    variable(NAME).map(|rule| (NAME, rule))
}

/// Returns a namespace that nothing else uses.
#[must_use]
pub fn fresh_namespace() -> Namespace {
    let random = Uuid::new_v4().simple().to_string();
    format!("t-{}", &random[..12]).parse().expect("hex digits are allowed in a namespace")
}

/// A virtual host that this process has for itself.
#[derive(Debug, Clone)]
pub struct VirtualHost {
    /// `amqp://…/<virtual host>`.
    pub url: String,
    /// The broker's management API.
    pub management: Management,
    /// The virtual host's name.
    pub name: String,
}

/// Returns a virtual host on RabbitMQ 3.x, one for this process; nothing when there is no server.
///
/// # Panics
/// When the server is missing and `CI=true`, or when it refuses.
pub async fn rabbitmq_3() -> Option<VirtualHost> {
    static ONCE: OnceCell<Option<VirtualHost>> = OnceCell::const_new();
    ONCE.get_or_init(|| virtual_host("LEVERET_TEST_RABBITMQ_3")).await.clone()
}

/// Returns a virtual host on RabbitMQ 4.x, one for this process; nothing when there is no server.
///
/// # Panics
/// When the server is missing and `CI=true`, or when it refuses.
pub async fn rabbitmq_4() -> Option<VirtualHost> {
    static ONCE: OnceCell<Option<VirtualHost>> = OnceCell::const_new();
    ONCE.get_or_init(|| virtual_host("LEVERET_TEST_RABBITMQ_4")).await.clone()
}

/// Returns the URL of Redis 7.x; nothing when there is no server.
///
/// # Panics
/// When the server is missing and `CI=true`.
#[must_use]
pub fn redis_7() -> Option<String> {
    server("LEVERET_TEST_REDIS_7")
}

/// Returns the URL of Redis 8.x; nothing when there is no server.
///
/// # Panics
/// When the server is missing and `CI=true`.
#[must_use]
pub fn redis_8() -> Option<String> {
    server("LEVERET_TEST_REDIS_8")
}

/// Returns the URL of PostgreSQL, without a database; nothing when there is no server.
///
/// # Panics
/// When the server is missing and `CI=true`.
#[must_use]
pub fn postgres() -> Option<String> {
    server("LEVERET_TEST_POSTGRES")
}

fn server(name: &str) -> Option<String> {
    let url = variable(name);
    if url.is_none() {
        let how = "start servers with scripts/services.sh and source the env file it writes";
        assert!(variable("CI").as_deref() != Some("true"), "{name} is not set: {how}");
        println!("SKIPPED: {name} is not set, so this server was not tested; {how}");
    }
    url
}

async fn virtual_host(name: &str) -> Option<VirtualHost> {
    let amqp = server(name)?;
    let management = Management::new(&server(&format!("{name}_API"))?);
    sweep(&management).await;
    let name =
        format!("{PREFIX}{}-{}", std::process::id(), &Uuid::new_v4().simple().to_string()[..6]);
    management.create_virtual_host(&name).await;
    Some(VirtualHost { url: format!("{}/{name}", amqp.trim_end_matches('/')), management, name })
}

/// Deletes what test processes left that no longer live: a test binary has no last moment in
/// which it could do so itself.
async fn sweep(management: &Management) {
    let processes = std::path::Path::new("/proc");
    if !processes.join("self").exists() {
        return;
    }
    for name in management.virtual_hosts().await {
        let Some((pid, _)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else {
            continue;
        };
        if pid.parse::<u32>().is_ok() && !processes.join(pid).exists() {
            management.delete_virtual_host(&name).await;
        }
    }
}
