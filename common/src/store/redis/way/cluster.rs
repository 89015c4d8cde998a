//! Commands on a cluster: those of one slot go together and in their order, slots side by side.
//!
//! Redirects (`MOVED`, `ASK`) and nodes that come and go are the client library's matter. A round
//! trip in which one slot fails has failed as a whole: what the others answered may have been
//! applied, and every request is safe to repeat.

use std::collections::HashMap;

use deadpool_redis::redis::cluster::ClusterClientBuilder;
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr,
};
use deadpool_redis::redis::{
    Arg, Cmd, ConnectionInfo, ErrorKind, Pipeline, ProtocolVersion, RedisError, RedisResult, Value,
    from_redis_value,
};
use futures_util::future::join_all;

use super::tcp_settings;
use crate::store::redis::link::Patience;

/// Redirects and broken connections that one request may meet before it fails.
const RETRIES: u32 = 3;
/// Wait before such a repetition: all of them have to end within the response timeout.
const FIRST_WAIT_MS: u64 = 20;
const LAST_WAIT_MS: u64 = 100;

/// Connects to all primaries; one of `nodes` has to answer.
pub(super) async fn connect(
    nodes: &[ConnectionInfo],
    patience: Patience,
) -> RedisResult<ClusterConnection> {
    let client = ClusterClientBuilder::new(nodes.iter().cloned())
        .use_protocol(ProtocolVersion::RESP3)
        .tcp_settings(tcp_settings())
        .connection_timeout(patience.connect)
        .response_timeout(patience.response)
        .overall_response_timeout(Some(patience.response))
        .retries(RETRIES)
        .min_retry_wait(FIRST_WAIT_MS)
        .max_retry_wait(LAST_WAIT_MS)
        .build()?;
    client.get_async_connection().await
}

/// Sends the commands and returns their answers in order.
pub(super) async fn send(
    connection: &ClusterConnection,
    commands: &Pipeline,
) -> RedisResult<Vec<Value>> {
    let parts = parts(commands);
    let sent = parts.iter().map(|part| {
        let mut connection = connection.clone();
        let (pipeline, route) = (part.pipeline.clone(), part.route.clone());
        async move {
            let count = pipeline.len();
            connection.route_pipeline(pipeline, 0, count, route).await
        }
    });
    let mut answers = vec![Value::Nil; commands.len()];
    for (part, answered) in parts.iter().zip(join_all(sent).await) {
        for (place, answer) in part.places.iter().zip(answered?) {
            if let Some(slot) = answers.get_mut(*place) {
                *slot = answer;
            }
        }
    }
    Ok(answers)
}

/// Sends a command without a key to every primary.
pub(super) async fn ask_each(
    connection: &ClusterConnection,
    command: &Cmd,
) -> RedisResult<Vec<(Option<String>, RedisResult<Value>)>> {
    let to_all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    match connection.clone().route_command(command.clone(), to_all).await? {
        Value::Map(answers) => answers
            .into_iter()
            .map(|(node, answer)| Ok((Some(from_redis_value(node)?), answer.extract_error())))
            .collect(),
        _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "no answer by node"))),
    }
}

/// The commands of one slot.
struct Part {
    route: SingleNodeRoutingInfo,
    pipeline: Pipeline,
    /// Where the answers belong.
    places: Vec<usize>,
}

/// Sorts commands by slot. One without a key goes along with each slot, before its commands, as the
/// loading of a script does; where there is no slot, to any primary.
fn parts(commands: &Pipeline) -> Vec<Part> {
    let mut by_slot: HashMap<Slot, Vec<usize>> = HashMap::new();
    let mut keyless = Vec::new();
    let all: Vec<&Cmd> = commands.cmd_iter().collect();
    for (place, command) in all.iter().enumerate() {
        match slot(command) {
            Some(slot) => by_slot.entry(slot).or_default().push(place),
            None => keyless.push(place),
        }
    }
    let part = |route: SingleNodeRoutingInfo, places: Vec<usize>| {
        let mut pipeline = Pipeline::with_capacity(places.len());
        for command in places.iter().filter_map(|place| all.get(*place)) {
            pipeline.add_command((*command).clone());
        }
        Part { route, pipeline, places }
    };
    if by_slot.is_empty() {
        return vec![part(SingleNodeRoutingInfo::RandomPrimary, keyless)];
    }
    by_slot
        .into_iter()
        .map(|(slot, places)| {
            let route =
                SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
            part(route, [keyless.as_slice(), &places].concat())
        })
        .collect()
}

/// Returns the slot of the one key that a command names: every command and script of ours names one
/// at most.
fn slot(command: &Cmd) -> Option<Slot> {
    let mut words = command.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        _ => &[],
    });
    let key = match words.next()? {
        b"PING" | b"TIME" | b"INFO" | b"SCRIPT" => None,
        // A script and the number of its keys come first.
        b"EVAL" | b"EVALSHA" => words.nth(2),
        _ => words.next(),
    };
    key.map(Slot::for_key)
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::cmd;

    use super::*;

    #[test]
    fn commands_of_one_slot_keep_their_order_and_what_has_no_key_goes_along() {
        let mut commands = Pipeline::new();
        commands.cmd("SCRIPT").arg("LOAD").arg("return 1");
        commands.cmd("RPUSH").arg("a{x}").arg(1);
        commands.cmd("EVALSHA").arg("0ff").arg(1).arg("b{y}").arg("a{x}");
        commands.cmd("PEXPIRE").arg("a{x}").arg(5);
        let found: Vec<Vec<usize>> = parts(&commands).into_iter().map(|part| part.places).collect();
        let (x, y) = (vec![0, 1, 3], vec![0, 2]);
        assert!(found == [x.clone(), y.clone()] || found == [y, x], "{found:?}");
        let mut ping = Pipeline::new();
        ping.add_command(cmd("PING"));
        assert_eq!(parts(&ping).len(), 1);
        assert_eq!(parts(&ping)[0].route, SingleNodeRoutingInfo::RandomPrimary);
    }
}
