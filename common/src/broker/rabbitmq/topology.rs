//! What exists on the server, as pure data: exchanges, queues, bindings, and where a message goes.
//!
//! Nothing here speaks to a server; [`super::declare`] does. Guards that every process that knows
//! a namespace describes the same things with the same arguments, and that a wait is never cut
//! into hops that add up to less or to more than the wait itself.

use std::time::Duration;

use crate::broker::Place;
use crate::name::{Class, Lane, Namespace, QueueName};

/// How often a lane's message may be returned before the last net takes it: 1,000.
const LANE_DELIVERY_LIMIT: i64 = 1_000;
/// As good as none, and accepted by 3.10 and 4.0. Unset would mean 20 on 4.x, and `-1` means
/// "dead-letter on the first return" on 3.10.
const NO_DELIVERY_LIMIT: i64 = 2_147_483_647;
/// The shortest delay bucket. What is left below it is waited by the receiver.
const SHORTEST_BUCKET: u64 = 250;
/// The same as a time.
pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(SHORTEST_BUCKET);
/// The longest bucket is the shortest × 2^18, about 18 h 12 min.
const LAST_BUCKET: u32 = 18;

/// One of the delay queues, by its exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Bucket(u32);

impl Bucket {
    /// Returns how long the bucket keeps a message, in milliseconds.
    pub(super) const fn millis(self) -> u64 {
        SHORTEST_BUCKET << self.0
    }
}

/// Chooses the next hop of a wait: the largest bucket that fits, or none when the rest is so
/// short that the receiver waits it.
pub(super) fn next_hop(wait: Duration) -> Option<Bucket> {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    (0..=LAST_BUCKET).rev().map(Bucket).find(|bucket| bucket.millis() <= wait)
}

/// Chooses the hop of a wait where `next_hop` is one that takes nothing: the largest shorter bucket that does, which
/// costs more hops, else the shortest longer one, which is late.
pub(super) fn hop_around(next: Bucket, takes: impl Fn(Bucket) -> bool) -> Bucket {
    let shorter = (0..next.0).rev();
    let longer = next.0 + 1..=LAST_BUCKET;
    shorter.chain(longer).map(Bucket).find(|bucket| takes(*bucket)).unwrap_or(next)
}

/// Something that is declared, and remembered, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Unit {
    /// The exchanges, and the queue for what nobody takes.
    Doors,
    /// The dead letters of a queue.
    Dead(QueueName),
    /// A lane; needs the doors and the dead letters of its queue.
    Lane(Lane),
    /// A delay bucket.
    Bucket(Bucket),
}

impl Unit {
    /// Lists what has to exist before a place can be used.
    pub(super) fn all_of(place: &Place) -> Vec<Self> {
        match place {
            Place::Lane(lane) => {
                vec![Self::Doors, Self::Dead(lane.queue.clone()), Self::Lane(lane.clone())]
            }
            Place::Dead(queue) => vec![Self::Doors, Self::Dead(queue.clone())],
        }
    }
}

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routing {
    /// By the routing key.
    Direct,
    /// To everything that is bound.
    Fanout,
}

/// What a queue does with a message that leaves it unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Onward {
    /// The exchange it goes to.
    pub(super) exchange: String,
    /// Its new routing key; the old one where absent.
    pub(super) key: Option<String>,
}

/// One thing to declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A durable exchange.
    Exchange {
        /// Its name.
        name: String,
        /// How it routes.
        routing: Routing,
        /// Where goes what it cannot route.
        alternate: Option<String>,
    },
    /// A durable quorum queue that rejects when full.
    Queue {
        /// Its name.
        name: String,
        /// Where goes what expires or was returned too often.
        onward: Option<Onward>,
        /// How often a message may be returned.
        delivery_limit: Option<i64>,
        /// How long it keeps a message, in milliseconds.
        ttl: Option<u64>,
    },
    /// A queue bound to an exchange.
    Binding {
        /// The queue.
        queue: String,
        /// The exchange.
        exchange: String,
        /// The routing key; empty for a fanout.
        key: String,
    },
}

/// Where a message is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The exchange.
    pub(super) exchange: String,
    /// The routing key.
    pub(super) key: String,
}

/// The names and parts of one namespace.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    namespace: Namespace,
}

impl Topology {
    pub(super) const fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.namespace)
    }

    /// Names the server's queue of a place.
    pub(super) fn queue_of(&self, place: &Place) -> String {
        match place {
            Place::Lane(lane) => self.lane_queue(lane),
            Place::Dead(queue) => self.dead_queue(queue),
        }
    }

    fn lane_queue(&self, lane: &Lane) -> String {
        self.name(&format!("lane.{lane}"))
    }

    fn dead_queue(&self, queue: &QueueName) -> String {
        self.name(&format!("dead.{queue}"))
    }

    /// Names the exchange that we publish to.
    pub(super) fn door(&self) -> String {
        self.name("tasks")
    }

    /// Names the exchanges through which everything passes.
    pub(super) fn exchanges(&self) -> Vec<String> {
        ["tasks", "enqueue", "dead", "unrouted"].map(|name| self.name(name)).into()
    }

    /// Names a queue that is ours and nobody's task: to try a permission on.
    pub(super) fn probe_queue(&self, random: &str) -> String {
        self.name(&format!("probe.{random}"))
    }

    /// Returns the namespace.
    pub(super) const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(super) fn unrouted_queue(&self) -> String {
        self.name("unrouted")
    }

    /// Names the queue of a bucket, and the exchange in front of it.
    pub(super) fn bucket_queue(&self, bucket: Bucket) -> String {
        self.name(&format!("delay.{}", bucket.millis()))
    }

    /// Routes to a lane.
    pub(super) fn to_lane(&self, lane: &Lane) -> Route {
        Route { exchange: self.door(), key: lane.to_string() }
    }

    /// Routes to a lane by way of a bucket; the key survives the fanout and the expiry.
    pub(super) fn to_bucket(&self, bucket: Bucket, lane: &Lane) -> Route {
        Route { exchange: self.bucket_queue(bucket), key: lane.to_string() }
    }

    /// Routes to the dead letters of a queue.
    pub(super) fn to_dead(&self, queue: &QueueName) -> Route {
        Route { exchange: self.name("dead"), key: queue.to_string() }
    }

    /// Lists the parts of a unit in the order in which they can be declared.
    pub(super) fn parts(&self, unit: &Unit) -> Vec<Part> {
        match unit {
            Unit::Doors => self.doors(),
            Unit::Dead(queue) => self.dead(queue),
            Unit::Lane(lane) => self.lane(lane),
            Unit::Bucket(bucket) => self.bucket(*bucket),
        }
    }

    fn doors(&self) -> Vec<Part> {
        let direct = |name: &str, alternate| Part::Exchange {
            name: self.name(name),
            routing: Routing::Direct,
            alternate,
        };
        let unrouted = self.unrouted_queue();
        vec![
            Part::Exchange { name: unrouted.clone(), routing: Routing::Fanout, alternate: None },
            Part::Queue {
                name: unrouted.clone(),
                onward: None,
                delivery_limit: Some(NO_DELIVERY_LIMIT),
                ttl: None,
            },
            Part::Binding {
                queue: unrouted.clone(),
                exchange: unrouted.clone(),
                key: String::new(),
            },
            // Ours: no alternate exchange, or a mandatory publish would never come back.
            direct("tasks", None),
            direct("enqueue", Some(unrouted)),
            direct("dead", None),
        ]
    }

    fn dead(&self, queue: &QueueName) -> Vec<Part> {
        let name = self.dead_queue(queue);
        vec![
            Part::Queue {
                name: name.clone(),
                onward: None,
                delivery_limit: Some(NO_DELIVERY_LIMIT),
                ttl: None,
            },
            Part::Binding { queue: name, exchange: self.name("dead"), key: queue.to_string() },
        ]
    }

    fn lane(&self, lane: &Lane) -> Vec<Part> {
        let name = self.lane_queue(lane);
        let onward = Onward { exchange: self.name("dead"), key: Some(lane.queue.to_string()) };
        let mut parts = vec![Part::Queue {
            name: name.clone(),
            onward: Some(onward),
            delivery_limit: Some(LANE_DELIVERY_LIMIT),
            ttl: None,
        }];
        let mut keys = vec![lane.to_string()];
        if lane.class == Class::Normal {
            keys.push(lane.queue.to_string());
        }
        for key in keys {
            for door in ["tasks", "enqueue"] {
                let (queue, exchange) = (name.clone(), self.name(door));
                parts.push(Part::Binding { queue, exchange, key: key.clone() });
            }
        }
        parts
    }

    fn bucket(&self, bucket: Bucket) -> Vec<Part> {
        let name = self.bucket_queue(bucket);
        // The exchange after the queue: where it is, the queue can be used.
        vec![
            Part::Queue {
                name: name.clone(),
                onward: Some(Onward { exchange: self.name("tasks"), key: None }),
                delivery_limit: None,
                ttl: Some(bucket.millis()),
            },
            Part::Exchange { name: name.clone(), routing: Routing::Fanout, alternate: None },
            Part::Binding { queue: name.clone(), exchange: name, key: String::new() },
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topology() -> Topology {
        Topology::new("acme".parse().unwrap())
    }

    #[test]
    fn a_normal_lane_is_bound_by_its_bare_queue_name_and_others_are_not() {
        let keys = |lane: &str| -> Vec<String> {
            let parts = topology().parts(&Unit::Lane(lane.parse().unwrap()));
            let key = |part| match part {
                Part::Binding { exchange, key, .. } => Some(format!("{exchange} {key}")),
                _ => None,
            };
            parts.into_iter().filter_map(key).collect()
        };
        assert_eq!(keys("mail.high"), ["acme.tasks mail.high", "acme.enqueue mail.high"]);
        assert_eq!(
            keys("mail"),
            [
                "acme.tasks mail.normal",
                "acme.enqueue mail.normal",
                "acme.tasks mail",
                "acme.enqueue mail"
            ]
        );
    }

    #[test]
    fn our_own_door_has_no_alternate_exchange_and_the_foreign_one_has() {
        let alternates: Vec<_> = topology()
            .parts(&Unit::Doors)
            .into_iter()
            .filter_map(|part| match part {
                Part::Exchange { name, alternate, .. } => Some((name, alternate)),
                _ => None,
            })
            .collect();
        assert!(alternates.contains(&("acme.tasks".to_owned(), None)));
        let unrouted = Some("acme.unrouted".to_owned());
        assert!(alternates.contains(&("acme.enqueue".to_owned(), unrouted)));
    }

    #[test]
    fn the_longest_names_fit_an_amqp_short_string() {
        let longest = "n".repeat(63);
        let topology = Topology::new(longest.parse().unwrap());
        let lane = Lane::new(longest.parse().unwrap(), Class::Critical);
        assert!(topology.lane_queue(&lane).len() <= 255);
    }

    #[test]
    fn a_bucket_that_takes_nothing_is_gone_round_by_a_shorter_one_and_else_by_a_longer_one() {
        assert_eq!(hop_around(Bucket(4), |_| true), Bucket(3));
        assert_eq!(hop_around(Bucket(4), |bucket| bucket.0 != 3), Bucket(2));
        assert_eq!(hop_around(Bucket(0), |_| true), Bucket(1));
        assert_eq!(hop_around(Bucket(1), |bucket| bucket.0 > 5), Bucket(6));
        assert_eq!(hop_around(Bucket(4), |_| false), Bucket(4), "there is no better one");
    }

    #[test]
    fn the_last_bucket_keeps_about_eighteen_hours() {
        let bucket = next_hop(Duration::from_secs(400 * 24 * 3600)).unwrap();
        assert_eq!(bucket.millis(), 65_536_000);
        assert_eq!(next_hop(Duration::from_millis(249)), None);
        assert_eq!(next_hop(Duration::from_millis(250)), Some(Bucket(0)));
    }

    proptest! {
        #[test]
        fn hops_are_never_early_and_leave_less_than_the_shortest_bucket(wait in 0_u64..200_000_000) {
            let mut left = wait;
            let mut hops = 0;
            while let Some(bucket) = next_hop(Duration::from_millis(left)) {
                prop_assert!(bucket.millis() <= left, "early: {bucket:?} of {left}");
                left -= bucket.millis();
                hops += 1;
            }
            prop_assert!(left < SHORTEST_BUCKET);
            prop_assert!(hops <= 19 + wait / 65_536_000);
        }
    }
}
