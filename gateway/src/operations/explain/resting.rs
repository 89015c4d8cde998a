//! Of a task that waits: in a lane, or for its time.

use leveret_common::clock::Millis;
use leveret_common::ledger::Entry;
use leveret_common::name::Lane;
use leveret_common::store::{Heartbeat, TaskView, WorkerState};

use super::super::queues::{lane_view, serving};
use super::{Custody, Facts, LaneCustody, PausedBy, Said, counted, time};

impl Facts {
    /// It waits for its time.
    pub(super) fn delayed(&self, view: &TaskView, until: Millis) -> Said {
        let left = time::rough(until.since(self.now));
        let mut because = Vec::new();
        let summary = match self.last_failure(view) {
            Some(failure) => {
                because.push(failure);
                format!("It failed and is tried again in {left}, at {}.", time::text(until))
            }
            None => format!("It is not due before {}, in {left}.", time::text(until)),
        };
        because.extend(self.pause_sentence());
        let advice = vec![format!("If it should not run: `leveret task cancel {}`.", self.id)];
        let lane = self.lane.as_ref().map(Lane::to_string);
        Said { summary, custody: Custody::Delay { lane, until }, because, advice }
    }

    /// It waits in its lane, as far as anybody knows.
    pub(super) fn in_lane(&self, view: &TaskView) -> Said {
        let (mut because, mut advice) = (Vec::new(), Vec::new());
        let replayed = self.replay_on_its_way(view);
        if let Some((replay, by, at)) = &replayed {
            because.push(format!(
                "{} gave it a fresh start {} (replay {replay}). If another queue or class was named \
                 then, it is there: no record says so.",
                who(by),
                self.ago(*at)
            ));
        }
        because.extend(self.last_failure(view));
        let Some(lane) = &self.lane else {
            let summary = "It waits for a worker; no record says in which lane.".to_owned();
            let custody = Custody::Lane(Box::default());
            return Said { summary, custody, because, advice };
        };
        let found = LaneCustody { presumed: replayed.is_some(), ..self.lane_custody(lane) };
        self.why_it_waits(lane, &found, &mut because, &mut advice);
        if found.presumed {
            let summary = format!("Its replay waits: in {lane}, unless another lane was named.");
            let advice = advice.iter().map(|what| format!("If it is in {lane}: {what}")).collect();
            return Said { summary, custody: Custody::Lane(Box::new(found)), because, advice };
        }
        let summary = match (&found.paused, found.workers_serving, found.workers_able) {
            (Some(_), ..) => format!("It waits in {lane}, and queue {} is paused.", lane.queue),
            (None, 0, _) => format!("It waits in {lane}, which no living worker serves."),
            (None, _, 0) => format!("It waits in {lane}, and no worker there knows its kind."),
            (None, ..) => match found.depth {
                Some(0) if found.waiting == 0 => {
                    format!("It is on its way through {lane}: nothing rests there any more.")
                }
                _ => format!("It waits for its turn in {lane}."),
            },
        };
        Said { summary, custody: Custody::Lane(Box::new(found)), because, advice }
    }

    fn lane_custody(&self, lane: &Lane) -> LaneCustody {
        let survey = self.survey.as_ref().ok().copied();
        let seen = lane_view(lane, survey.unwrap_or_default(), &self.workers, self.now);
        let serves = |w: &&Heartbeat| w.info.lanes.iter().any(|info| info.lane == *lane);
        let workers: Vec<_> = self.workers.iter().filter(serves).collect();
        let knows = |w: &&&Heartbeat| match &self.kind {
            Some(kind) => w.info.kinds.iter().any(|known| known == kind.as_str()),
            None => true,
        };
        LaneCustody {
            lane: Some(lane.to_string()),
            presumed: false,
            depth: survey.map(|survey| survey.depth),
            consumers: survey.map(|survey| survey.consumers),
            rate: seen.rate,
            waiting: seen.waiting,
            workers_serving: workers.len(),
            workers_able: workers.iter().filter(knows).count(),
            paused: self.pauses.get(&lane.queue).map(PausedBy::from),
        }
    }

    fn why_it_waits(
        &self,
        lane: &Lane,
        found: &LaneCustody,
        because: &mut Vec<String>,
        advice: &mut Vec<String>,
    ) {
        if let Some(pause) = self.pause_sentence() {
            because.push(pause);
            advice.push(format!("Resume the queue: `leveret queue resume {}`.", lane.queue));
        }
        match &self.survey {
            Err(why) => because.push(format!("The broker could not be asked: {why}.")),
            Ok(survey) => because.push(format!(
                "{lane} holds {} and drains at {:.1} a second; the broker knows {} of it, and \
                 workers hold {}.",
                counted(survey.depth, "message", "messages"),
                found.rate,
                counted(u64::from(survey.consumers), "consumer", "consumers"),
                counted(found.waiting, "delivery without a slot", "deliveries without a slot"),
            )),
        }
        if found.workers_serving == 0 {
            because.push(self.nobody_serves(lane));
            advice.push(format!("Start a worker with queue {} in worker.queues.", lane.queue));
        } else if found.workers_able == 0 {
            let kind = self.kind.as_ref().map_or("its kind", |kind| kind.as_str());
            because.push(format!(
                "None of the workers that serve {lane} ({}) knows kind {kind}: whoever receives it \
                 parks it for up to a minute at a time, and after 10 minutes it is dead, \
                 no-handler.",
                found.workers_serving
            ));
            advice.push(format!(
                "Start a worker that knows {kind} and serves {}, or enqueue it anew to a queue \
                 whose workers do.",
                lane.queue
            ));
        } else {
            self.busy_workers(lane, because, advice);
        }
        if let (None, Some(Ok(0))) = (&self.entry, found.depth.map(Ok::<_, ()>))
            && found.waiting == 0
            && found.paused.is_none()
        {
            because.push(
                "Nothing rests in the lane: the message is in a worker's hands, parked for a \
                 moment, or the ledger has forgotten how it ended."
                    .to_owned(),
            );
        }
        if let Some(Entry::Waiting(waiting)) = &self.entry
            && waiting.toll.crashes > 0
        {
            let crashes = counted(u64::from(waiting.toll.crashes), "worker", "workers");
            because.push(format!("{crashes} died while it ran."));
        }
    }

    fn nobody_serves(&self, lane: &Lane) -> String {
        let others = serving(&self.workers, &lane.queue).count();
        let queue = &lane.queue;
        match (self.workers.len(), others) {
            (0, _) => "No worker lives.".to_owned(),
            (living, 0) => format!("None of the living workers ({living}) serves queue {queue}."),
            (_, others) => format!(
                "Workers serve queue {queue} ({others}), and none of them class {}.",
                lane.class
            ),
        }
    }

    fn busy_workers(&self, lane: &Lane, because: &mut Vec<String>, advice: &mut Vec<String>) {
        let serves = |w: &&Heartbeat| w.info.lanes.iter().any(|info| info.lane == *lane);
        let workers: Vec<_> = self.workers.iter().filter(serves).collect();
        let taking = workers.iter().filter(|w| w.info.state == WorkerState::Running).count();
        if taking == 0 {
            because.push("All workers that serve it are quiet or draining.".to_owned());
            advice.push("Have them take tasks again: `leveret worker resume all`.".to_owned());
            return;
        }
        let slots: u64 = workers.iter().map(|w| u64::from(w.info.slots)).sum();
        let in_use: u64 = workers.iter().map(|w| u64::from(w.info.in_use)).sum();
        because.push(format!(
            "{in_use} of {} of the workers that serve it are in use.",
            counted(slots, "slot", "slots")
        ));
        if in_use >= slots && slots > 0 {
            advice.push(
                "Wait, start more workers, or give these more slots: `leveret worker resize WORKER \
                 --slots N`."
                    .to_owned(),
            );
        }
    }

    fn pause_sentence(&self) -> Option<String> {
        let pause = self.pauses.get(&self.lane.as_ref()?.queue)?;
        let why = pause.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        let queue = &pause.queue;
        let by = who(&pause.by);
        Some(format!("{by} paused queue {queue} {}{why}.", self.ago(pause.at)))
    }

    /// Says how the last attempt failed, where it did.
    fn last_failure(&self, view: &TaskView) -> Option<String> {
        let note = view.history.last()?;
        let failure = note.failure.as_ref()?;
        let attempt = note.order.attempt;
        let (class, message) = (&failure.class, &failure.message);
        Some(format!("Attempt {attempt} failed {} ({class}): {message}", self.ago(note.ended_at)))
    }
}

/// Names who did something; the gateway writes `unknown` where nobody said.
fn who(by: &str) -> &str {
    if by == "unknown" { "Somebody" } else { by }
}
