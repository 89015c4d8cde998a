//! Keys that depend on each other.
//!
//! Responsible for values that follow from others, and for values that do not go together though
//! each is right. Guards against second-hand complaints: a rule is not checked while one of its
//! keys has a problem of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Loaded;
use super::problem::{Origin, Problem};
use super::settings::{Settings, default_weight};
use crate::duration;

/// How many heartbeats must fit into their TTL: two may be late or lost before a claim is.
const HEARTBEATS_PER_TTL: u32 = 3;

/// Fills in what follows from other keys and was not set itself.
pub(super) fn derive(
    settings: &mut Settings,
    origins: &mut BTreeMap<&'static str, Origin>,
    refused: &BTreeSet<&'static str>,
) {
    let mut follows = |key, from| {
        let is_free = !origins.contains_key(key) && !refused.contains(key);
        let is_due = is_free && origins.contains_key(from);
        if is_due {
            origins.insert(key, Origin::Derived { from });
        }
        is_due
    };
    if follows("worker.weights", "worker.classes") {
        let classes = &settings.worker.classes;
        settings.worker.weights = classes.iter().copied().map(default_weight).collect();
    }
    if follows("gateway.url", "gateway.listen") {
        settings.gateway.url = format!("http://{}", reachable(settings.gateway.listen));
    }
    // Kinds have no key of their own in the table: what they name counts wherever they stand.
    let is_free = !origins.contains_key("worker.queues") && !refused.contains("worker.queues");
    if is_free && serve_the_kinds(settings) {
        origins.insert("worker.queues", Origin::Derived { from: "kinds" });
    }
}

/// Adds the queues that only a kind names: nobody else would serve them. Tells whether any was.
fn serve_the_kinds(settings: &mut Settings) -> bool {
    let Settings { kinds, worker, .. } = settings;
    let before = worker.queues.len();
    for queue in kinds.values().filter_map(|kind| kind.queue.as_ref()) {
        if !worker.queues.contains(queue) {
            worker.queues.push(queue.clone());
        }
    }
    worker.queues.len() > before
}

/// Finds values that do not go together.
pub(super) fn check(loaded: &Loaded, refused: &BTreeSet<&'static str>) -> Vec<Problem> {
    type Rule = fn(&Loaded) -> Option<Problem>;
    let rules: [(&[&str], Rule); 3] = [
        (&["broker.url", "store.url"], both_servers_or_none),
        (&["worker.heartbeat", "worker.heartbeat_ttl"], ttl_spans_heartbeats),
        (&["worker.classes", "worker.weights"], weight_for_each_class),
    ];
    let is_sound = |keys: &[&str]| !keys.iter().any(|key| refused.contains(key));
    rules.iter().filter(|(keys, _)| is_sound(keys)).filter_map(|(_, rule)| rule(loaded)).collect()
}

fn both_servers_or_none(loaded: &Loaded) -> Option<Problem> {
    let (given, missing) = match (&loaded.settings.broker.url, &loaded.settings.store.url) {
        (Some(_), Some(_)) | (None, None) => return None,
        (Some(_), None) => ("broker.url", "store.url"),
        (None, Some(_)) => ("store.url", "broker.url"),
    };
    let why = format!(
        "it is absent while {given} is set ({}); tasks in RabbitMQ need a ledger that every worker \
         can reach, so broker and store are both servers or both embedded",
        loaded.origin(given)
    );
    let mend = format!("set {missing} as well, or remove {given} to run embedded");
    Some(Problem::new(missing, why, mend))
}

fn ttl_spans_heartbeats(loaded: &Loaded) -> Option<Problem> {
    let worker = &loaded.settings.worker;
    let least = worker.heartbeat * HEARTBEATS_PER_TTL;
    if worker.heartbeat_ttl >= least {
        return None;
    }
    let why = format!(
        "it is less than {HEARTBEATS_PER_TTL} × worker.heartbeat, which is {} ({}); one late \
         heartbeat would cost a worker its claims",
        duration::format(worker.heartbeat),
        loaded.origin("worker.heartbeat")
    );
    let mend = format!("write at least {}, or a shorter worker.heartbeat", duration::format(least));
    let problem = Problem::new("worker.heartbeat_ttl", why, mend)
        .at(loaded.origin("worker.heartbeat_ttl"))
        .with_value(duration::format(worker.heartbeat_ttl));
    Some(problem)
}

fn weight_for_each_class(loaded: &Loaded) -> Option<Problem> {
    let (weights, classes) = (&loaded.settings.worker.weights, &loaded.settings.worker.classes);
    if weights.len() == classes.len() {
        return None;
    }
    let why = format!(
        "it has {} items, but worker.classes has {} ({})",
        weights.len(),
        classes.len(),
        loaded.origin("worker.classes")
    );
    let mend = "write one whole number for each class, in the same order, or leave it out";
    let problem = Problem::new("worker.weights", why, mend)
        .at(loaded.origin("worker.weights"))
        .with_value(format!("{weights:?}"));
    Some(problem)
}

/// Turns an address to listen on into one to connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
