//! Whether what is on the server is what we would declare.
//!
//! The protocol has no question for the arguments of a queue; but to declare one that is there, with
//! the same arguments, changes nothing, and with others is refused with a word on what differs.
//! Guards that nothing is made by looking: what is not there is not declared.

use std::collections::BTreeSet;

use crate::broker::rabbitmq::declare::{DeclareError, Refusal, declare_part, exists, explain};
use crate::broker::rabbitmq::supervisor::Link;
use crate::broker::rabbitmq::topology::{Part, Topology, Unit};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Exchanges and queues that there should be.
    pub(super) expected: usize,
    /// Those that were looked at.
    pub(super) seen: usize,
    /// Names of those that are not there.
    pub(super) absent: Vec<String>,
    /// Those that are different or forbidden.
    pub(super) refused: Vec<Refusal>,
}

/// Compares the doors and all `known` units; `into` holds what was found when the caller's deadline
/// ends it early.
pub(super) async fn compare(
    topology: &Topology,
    known: Vec<Unit>,
    link: &Link,
    into: &mut Comparison,
) -> Result<(), String> {
    let units: BTreeSet<Unit> = std::iter::once(Unit::Doors).chain(known).collect();
    let parts: Vec<Part> = units.iter().flat_map(|unit| topology.parts(unit)).collect();
    into.expected = parts.iter().filter(|part| name_of(part).is_some()).count();
    let mut absent = BTreeSet::new();
    let mut open = None;
    for part in parts {
        let channel = match open.take() {
            Some(channel) => channel,
            None => link.connection.channel().await?,
        };
        let compared = match name_of(&part) {
            Some(name) => {
                into.seen += 1;
                match exists(&channel, &part).await {
                    Ok(true) => declare_part(&channel, &part).await,
                    Ok(false) => {
                        absent.insert(name.to_owned());
                        into.absent.push(name.to_owned());
                        continue;
                    }
                    Err(error) => Err(error),
                }
            }
            // A binding that is missing is made again: without it nothing arrives.
            None if joins(&part, &absent) => {
                open = Some(channel);
                continue;
            }
            None => declare_part(&channel, &part).await,
        };
        match compared {
            Ok(()) => open = Some(channel),
            Err(error) => match explain(&part, &error) {
                DeclareError::Unavailable(why) => return Err(why),
                DeclareError::Refused(refusal) => into.refused.push(refusal),
            },
        }
    }
    Ok(())
}

/// Names an exchange or queue; bindings have no name.
fn name_of(part: &Part) -> Option<&str> {
    match part {
        Part::Exchange { name, .. } | Part::Queue { name, .. } => Some(name),
        Part::Binding { .. } => None,
    }
}

fn joins(part: &Part, absent: &BTreeSet<String>) -> bool {
    match part {
        Part::Binding { queue, exchange, .. } => {
            absent.contains(queue) || absent.contains(exchange)
        }
        Part::Exchange { .. } | Part::Queue { .. } => false,
    }
}
