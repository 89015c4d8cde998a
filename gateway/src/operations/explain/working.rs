//! Of a task that a worker has.

use leveret_common::ledger::{Decision, Running};
use leveret_common::store::Heartbeat;

use super::{Custody, Facts, Said, WorkerRef, counted, time};

impl Facts {
    /// A worker holds its claim.
    pub(super) fn running(&self, held: &Running) -> Said {
        let worker = self.worker(held.hold.owner);
        let since = leveret_common::clock::Millis(held.claimed_at / 1_000);
        let attempt = held.order.attempt;
        let who = called(&worker);
        let summary =
            format!("Attempt {attempt} runs on {who} for {}.", time::rough(self.now.since(since)));
        let (mut because, mut advice) = (vec![self.sign_of_life(&worker, held)], Vec::new());
        if held.cancel {
            because.push(
                "Somebody asked to cancel it: it ends as cancelled unless it succeeds first."
                    .to_owned(),
            );
        }
        if held.toll.crashes > 0 {
            let crashes = u64::from(held.toll.crashes);
            because.push(format!(
                "{} died while it ran before.",
                counted(crashes, "worker", "workers")
            ));
        }
        if worker.heartbeat_age_ms.is_none() {
            advice.push(
                "Nothing, unless it stays so: another worker takes it over once the broker hands \
                 its message out again. If no worker serves the lane, start one."
                    .to_owned(),
            );
        } else if !held.cancel {
            advice.push(format!(
                "If it should not run: `leveret task cancel {}`. Its time limit ends it otherwise.",
                self.id
            ));
        }
        let cancelling = held.cancel;
        let custody = Custody::Worker { worker, since, attempt, cancelling };
        Said { summary, custody, because, advice }
    }

    /// Its outcome is decided; the publishes may not have happened.
    pub(super) fn finishing(&self, held: &Running, decision: &Decision) -> Said {
        let worker = self.worker(held.hold.owner);
        let since = leveret_common::clock::Millis(held.claimed_at / 1_000);
        let outcome = decision.outcome.as_str();
        let who = called(&worker);
        let mut because = vec![self.sign_of_life(&worker, held)];
        if !decision.follow_ups.is_empty() {
            let number = decision.follow_ups.len() as u64;
            let tasks = counted(number, "task", "tasks");
            because.push(format!("With it goes what its handler enqueued: {tasks}."));
        }
        if let Err(why) = &self.broker {
            let summary = format!(
                "Its outcome, {outcome}, is decided; {who} cannot publish it because the broker \
                 takes nothing."
            );
            because.push(format!("The broker: {why}."));
            let advice = vec![
                "Mend the broker (an alarm of memory or disk, most likely): the outcome is kept \
                 and published then, without another run."
                    .to_owned(),
            ];
            let custody = Custody::Blocked { worker, since, outcome, why: why.clone() };
            return Said { summary, custody, because, advice };
        }
        let summary = format!("Its outcome, {outcome}, is decided and {who} is publishing it.");
        let custody = Custody::Finishing { worker, since, outcome };
        Said { summary, custody, because, advice: Vec::new() }
    }

    /// A heartbeat lists it and the ledger has no entry: its memory was lost.
    pub(super) fn held_without_entry(&self, holder: &Heartbeat) -> Said {
        let worker = self.worker(holder.owner);
        let summary = format!(
            "{} says that it runs it, and the ledger has forgotten the claim.",
            capital(&called(&worker))
        );
        let because = vec![
            "The store was reset or lost its memory since the claim was made; the worker writes \
             its claims again within a heartbeat."
                .to_owned(),
        ];
        let advice = vec![
            "Nothing for this task. Look why the store lost its memory: `leveret doctor`."
                .to_owned(),
        ];
        let attempt = self.view.as_ref().map_or(1, |view| view.attempt.max(1));
        let since = holder.info.at;
        let custody = Custody::Worker { worker, since, attempt, cancelling: false };
        Said { summary, custody, because, advice }
    }

    fn sign_of_life(&self, worker: &WorkerRef, held: &Running) -> String {
        let found = self.workers.iter().find(|found| found.owner == held.hold.owner);
        match (found, worker.heartbeat_age_ms) {
            (Some(found), Some(age)) => {
                let lists = found.held.contains(&(self.id, held.hold.fence));
                let age = time::rough(std::time::Duration::from_millis(age));
                match lists {
                    true => format!("Its heartbeat is {age} old and lists this claim."),
                    // A claim is younger than the heartbeat that will list it.
                    false => format!(
                        "Its heartbeat is {age} old and does not list this claim: the claim is \
                         younger than that, or its reply was lost and another worker will take it \
                         over."
                    ),
                }
            }
            _ => "There is no heartbeat of that worker: it died, or it cannot reach the store."
                .to_owned(),
        }
    }
}

fn called(worker: &WorkerRef) -> String {
    match (&worker.host, worker.pid) {
        (Some(host), Some(pid)) => format!("worker {host}:{pid}"),
        _ => format!("worker {}", worker.owner),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
