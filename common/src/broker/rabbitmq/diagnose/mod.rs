//! What RabbitMQ is asked when something is wrong: the material of `leveret doctor`.
//!
//! Read in this order: `greeting` (who it is), `permissions` (what we may), `comparison` (whether
//! what it has is what we mean), `agreement` (the numbers both sides settled on); the rest is here. Nothing waits for anything else for long: each
//! part has its own deadline, and what did not answer is a finding. Guards that looking changes
//! nothing: no queue is made that stays, and no message is put where somebody would find it.

mod agreement;
mod comparison;
mod greeting;
mod permissions;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, ErrorKind};
use tokio::time::{Instant, timeout};

use self::agreement::Agreement;
use self::comparison::Comparison;
use self::greeting::{Greeting, Standing};
use self::permissions::{Missing, NO_LANE};
use super::RabbitMq;
use super::endpoint::place;
use super::supervisor::{Link, Supervisor};
use super::translate::short;
use crate::diagnose::{Diagnose, Finding, Health};

/// How long each part may take; three come one after the other at most.
const PART_DEADLINE: Duration = Duration::from_millis(1_500);

/// What is found where a publish goes through.
const TAKEN: &str = "taken and confirmed";

fn finding(check: &str, health: Health, found: impl Into<String>) -> Finding {
    Finding::new("broker", check, health, found)
}

#[async_trait]
impl Diagnose for RabbitMq {
    async fn diagnose(&self) -> Vec<Finding> {
        let (greeted, connected) = tokio::join!(self.greeted(), self.connected());
        let mut findings = greeted;
        findings.extend(connected);
        findings
    }
}

impl RabbitMq {
    /// Who each of its servers is, on a connection of its own.
    async fn greeted(&self) -> Vec<Finding> {
        let nodes = self.endpoint.nodes();
        let heard = join_all(nodes.iter().map(async |node| {
            let start = Instant::now();
            let heard = timeout(PART_DEADLINE, greeting::hear(node)).await;
            let greeting = match heard {
                Ok(greeting) => greeting,
                Err(_) => Err(format!("no greeting within {PART_DEADLINE:?}")),
            };
            (place(node), greeting, start.elapsed())
        }));
        let heard = heard.await;
        // Of a cluster one is enough.
        let is_there = heard.iter().any(|(_, greeting, _)| greeting.is_ok());
        let silent = if is_there { Health::Risky } else { Health::Bad };
        let mut findings = Vec::new();
        for (place, greeting, took) in heard {
            // Of several, each is told by its name; as whom we enter is the same for all.
            let name = if nodes.len() > 1 { place } else { self.endpoint.to_string() };
            match greeting {
                Ok(greeting) => {
                    let found = format!("{name} answers");
                    findings.push(finding("reachable", Health::Good, found).took(took));
                    findings.push(version(&greeting));
                }
                Err(why) => {
                    let found = format!("{name}: {why}");
                    findings.push(finding("reachable", silent, found).took(took).mend(
                        "Is RabbitMQ running there, are host, port and TLS of broker.url right, is \
                         there a firewall between?",
                    ));
                }
            }
        }
        findings
    }

    /// What can be asked on the connections that are there.
    async fn connected(&self) -> Vec<Finding> {
        let start = Instant::now();
        let (publishing, consuming) =
            tokio::join!(answering(&self.publishing), answering(&self.consuming));
        let took = start.elapsed();
        let mut findings = Vec::new();
        let down: Vec<String> = [("publishing", &publishing), ("consuming", &consuming)]
            .into_iter()
            .filter_map(|(name, link)| Some(format!("{name}: {}", link.as_ref().err()?)))
            .collect();
        findings.push(if down.is_empty() {
            finding("connections", Health::Good, "publishing and consuming are up").took(took)
        } else {
            finding("connections", Health::Bad, down.join("; ")).took(took).mend(
                "They are made again by themselves once the broker answers; if it does, look at \
                 its log for why it closes them",
            )
        });
        let mut is_taken = false;
        if let Ok(link) = &publishing {
            let publishes = self.takes_publishes(link).await;
            is_taken = publishes.found == TAKEN;
            findings.push(publishes);
        }
        if let Ok(link) = &consuming {
            let missing =
                match timeout(PART_DEADLINE, permissions::missing(&self.topology, link)).await {
                    Ok(tried) => tried,
                    Err(_) => Err(format!("no answer within {PART_DEADLINE:?}")),
                };
            // Neither declares nor binds, and is heard: meant to put tasks in and nothing else.
            let is_narrow =
                is_taken && missing.as_ref().is_ok_and(|missing| permissions::are_narrow(missing));
            findings.push(self.permissions(missing, is_narrow));
            findings.extend(self.topology(link, is_narrow).await);
            findings.extend(agreement::findings(&Agreement::of(link)));
        }
        findings
    }

    /// Publishes what no queue takes, on a channel of its own, and waits for it to come back: only
    /// whoever publishes is told of an alarm.
    async fn takes_publishes(&self, link: &Link) -> Finding {
        let check = "publishes";
        let start = Instant::now();
        let exchange = self.topology.door();
        let answer = match link.blocked() {
            Some(_) => None,
            None => timeout(PART_DEADLINE, probe(link, &exchange)).await.ok(),
        };
        let took = start.elapsed();
        if let Some(why) = link.blocked() {
            return finding(check, Health::Bad, format!("it blocks publishers: {why}"))
                .took(took)
                .mend(relief(&why));
        }
        match answer {
            Some(Ok(true)) => finding(check, Health::Good, TAKEN).took(took),
            Some(Ok(false)) => {
                let found =
                    format!("exchange {exchange} is not declared yet; its first use does it");
                finding(check, Health::Good, found).took(took)
            }
            Some(Err(why)) => finding(check, Health::Bad, why)
                .took(took)
                .mend(self.allow("write", &format!("exchange {exchange}"))),
            None => finding(check, Health::Bad, format!("no confirm within {PART_DEADLINE:?}"))
                .took(took)
                .mend("Look at the broker's log and at the load of its disk"),
        }
    }

    fn permissions(&self, missing: Result<Vec<Missing>, String>, is_narrow: bool) -> Finding {
        let check = "permissions";
        let names = format!("{}.*", self.topology.namespace());
        let user = &self.endpoint.login().authority.userinfo.username;
        let missing = match missing {
            Ok(missing) => missing,
            Err(why) => {
                return finding(check, Health::Risky, format!("they could not be tried: {why}"));
            }
        };
        if is_narrow {
            let found = format!(
                "the user {user:?} puts tasks in and declares nothing: it uses what others declare"
            );
            return finding(check, Health::Good, found);
        }
        let Some(first) = missing.first() else {
            return finding(check, Health::Good, format!("configure, write and read on {names}"));
        };
        let all: Vec<String> = missing
            .iter()
            .map(|Missing { permission, on }| format!("{permission} on {on}"))
            .collect();
        finding(check, Health::Bad, format!("the user {user:?} may not {}", all.join(", ")))
            .mend(self.allow(first.permission, &first.on))
    }

    /// Says how a permission is given.
    fn allow(&self, permission: &str, on: &str) -> String {
        let (uri, names) = (self.endpoint.login(), format!("^{}\\.", self.topology.namespace()));
        format!(
            "Give {permission} on {on}: `rabbitmqctl set_permissions -p {} {} \"{names}\" \
             \"{names}\" \"{names}\"`, which also takes away what is allowed beside that now",
            uri.vhost, uri.authority.userinfo.username
        )
    }

    async fn topology(&self, link: &Link, is_narrow: bool) -> Vec<Finding> {
        let check = "topology";
        let mut found = Comparison::default();
        let known = self.declarer.known();
        let is_used = !known.is_empty();
        let compare = comparison::compare(&self.topology, known, link, &mut found);
        let ended = timeout(PART_DEADLINE, compare).await;
        let mut findings: Vec<Finding> = found
            .refused
            .iter()
            .filter(|refusal| !(is_narrow && refusal.is_forbidden))
            .map(|refusal| {
                let check = if refusal.is_forbidden { "permissions" } else { check };
                let text = format!("{}: {}", refusal.name, refusal.why);
                finding(check, Health::Bad, text).mend(refusal.mend.clone())
            })
            .collect();
        let count = format!("{} of {} exchanges and queues", found.seen, found.expected);
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                findings.push(finding(check, Health::Risky, format!("looked at {count}: {why}")));
            }
            Err(_) => {
                let text = format!("looked at {count} within {PART_DEADLINE:?}");
                findings.push(finding(check, Health::Risky, text));
            }
        }
        if is_used && !found.absent.is_empty() {
            let text = format!("somebody has deleted {}", found.absent.join(", "));
            findings.push(finding(check, Health::Risky, text).mend(
                "The next use declares it again, without what it held; keep others from deleting \
                 below the namespace",
            ));
        }
        if findings.is_empty() {
            let text = match found.absent.len() {
                absent if absent == found.expected => {
                    "nothing is declared yet; the first use does it".to_owned()
                }
                0 => format!("{count} are as they should be"),
                absent => format!("{count} were looked at; {absent} are not declared yet"),
            };
            findings.push(finding(check, Health::Good, text));
        }
        findings
    }
}

impl RabbitMq {
    /// Tells whether a publish is taken right now, by one that no queue gets.
    pub(super) async fn takes_publishes_now(&self) -> bool {
        let Ok(link) = self.publishing.link(Instant::now()).await else { return false };
        matches!(timeout(PART_DEADLINE, probe(&link, &self.topology.door())).await, Ok(Ok(_)))
    }
}

/// Returns a connection on which a channel can be opened right now.
async fn answering(supervisor: &Supervisor) -> Result<Link, String> {
    let link = supervisor.link(Instant::now()).await?;
    if link.blocked().is_some() {
        // It is up, and would answer nothing.
        return Ok(link);
    }
    match timeout(PART_DEADLINE, link.connection.channel()).await {
        Ok(opened) => opened.map(|_| link),
        Err(_) => Err(format!("no answer within {PART_DEADLINE:?}")),
    }
}

/// Publishes to nowhere; true when it was confirmed, false when there is no such exchange.
async fn probe(link: &Link, exchange: &str) -> Result<bool, String> {
    let channel = link.connection.channel().await?;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let tried = async {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (exchange, nowhere) = (short(exchange), short(NO_LANE));
        let empty = BasicProperties::default();
        channel.basic_publish(exchange, nowhere, options, &[], empty).await?.await
    };
    match tried.await {
        Ok(Confirmation::Ack(_)) => Ok(true),
        Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => {
            Err("the broker does not confirm".to_owned())
        }
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(said) if said.get_id() == 404 => Ok(false),
            _ => Err(error.to_string()),
        },
    }
}

fn version(greeting: &Greeting) -> Finding {
    let Greeting { product, version, platform, cluster } = greeting;
    let mut text = format!("{product} {version}");
    for (name, value) in [("on", platform), ("cluster", cluster)] {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    match greeting.standing() {
        Standing::Fit => finding("version", Health::Good, text),
        Standing::TooOld => finding("version", Health::Bad, text)
            .mend("Move to RabbitMQ 3.10 or newer: older quorum queues lose delayed tasks"),
        Standing::Unknown => finding("version", Health::Risky, text)
            .mend("Nobody has tested Leveret with it; RabbitMQ from 3.10 to 4.0 is tested"),
    }
}

/// Says how an alarm is ended.
fn relief(alarm: &str) -> &'static str {
    if alarm.contains("disk") {
        "Free space on the broker's disk, or lower its disk_free_limit; what is queued can still \
         be worked off"
    } else {
        "Let workers drain the queues, give the broker more memory, or raise its \
         vm_memory_high_watermark"
    }
}
