//! How each request to the ledger becomes a script's arguments, and its reply an answer.
//!
//! The order of the arguments is that of the head of each file in `lua/`. A reply carries entries
//! as `ledger::packed` text, so there is one encoding.

use std::time::Duration;

use deadpool_redis::redis::{Cmd, Value, from_redis_value};

use super::keys::ttl_ms;
use super::scripts::{Script, Scripts};
use crate::id::{Fence, Owner, TaskId};
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Hold, Mark, Marking, Outcome, Release,
    Ruling, Takeover, packed,
};

/// A request that one script answers.
pub(super) trait Request {
    /// What the script answers.
    type Reply;
    /// Completes "failed to …".
    const OPERATION: &'static str;

    fn script(scripts: &Scripts) -> &Script;
    fn id(&self) -> TaskId;
    fn write(&self, call: &mut Cmd) -> Result<(), String>;
    fn read(&self, reply: Value) -> Result<Self::Reply, String>;
}

impl Request for Claim {
    type Reply = Answer;
    const OPERATION: &'static str = "claim tasks";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.claim
    }

    fn id(&self) -> TaskId {
        self.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        let expires_at = self.expires_at.map(|at| at.0.to_string()).unwrap_or_default();
        call.arg(self.order.replay)
            .arg(self.order.attempt)
            .arg(self.owner.to_string())
            .arg(self.token.0)
            .arg(expires_at)
            .arg(self.max_crashes)
            .arg(ttl_ms(self.ttl));
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<Answer, String> {
        answer(reply, self.owner)
    }
}

impl Request for Takeover {
    type Reply = Answer;
    const OPERATION: &'static str = "take tasks over";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.take_over
    }

    fn id(&self) -> TaskId {
        self.claim.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        self.claim.write(call)?;
        let Hold { owner, fence } = self.expected;
        call.arg(owner.to_string()).arg(fence.0).arg(u8::from(self.orphan));
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<Answer, String> {
        answer(reply, self.claim.owner)
    }
}

impl Request for Decide {
    type Reply = Ruling;
    const OPERATION: &'static str = "record outcomes";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.decide
    }

    fn id(&self) -> TaskId {
        self.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        write_hold(call, self.hold, self.ttl);
        let is_done = matches!(self.decision.outcome, Outcome::Done { .. });
        let decision = serde_json::to_string(&self.decision)
            .map_err(|error| format!("the outcome cannot be written as JSON: {error}"))?;
        call.arg(self.order.replay).arg(self.order.attempt).arg(u8::from(is_done)).arg(decision);
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<Ruling, String> {
        ruling(reply)
    }
}

impl Request for Mark {
    type Reply = Ruling;
    const OPERATION: &'static str = "mark outcomes";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.mark
    }

    fn id(&self) -> TaskId {
        self.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        write_hold(call, self.hold, self.ttl);
        let marking = match self.marking {
            Marking::Done => "done",
            Marking::Waiting => "waiting",
            Marking::Dead(reason) => reason.as_str(),
        };
        call.arg(self.order.replay).arg(self.order.attempt).arg(marking);
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<Ruling, String> {
        ruling(reply)
    }
}

impl Request for Release {
    type Reply = Ruling;
    const OPERATION: &'static str = "release claims";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.release
    }

    fn id(&self) -> TaskId {
        self.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        write_hold(call, self.hold, self.ttl);
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<Ruling, String> {
        ruling(reply)
    }
}

impl Request for Held {
    type Reply = ();
    const OPERATION: &'static str = "reassert claims";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.reassert
    }

    fn id(&self) -> TaskId {
        self.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        write_hold(call, self.hold, self.ttl);
        call.arg(self.token.0)
            .arg(self.order.replay)
            .arg(self.order.attempt)
            .arg(self.toll.starts)
            .arg(self.toll.crashes)
            .arg(self.toll.charged.0);
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<(), String> {
        match text(reply)?.as_str() {
            "kept" | "written" => Ok(()),
            other => Err(unknown(other)),
        }
    }
}

impl Request for Cancel {
    type Reply = Cancelling;
    const OPERATION: &'static str = "cancel tasks";

    fn script(scripts: &Scripts) -> &Script {
        &scripts.cancel
    }

    fn id(&self) -> TaskId {
        self.id
    }

    fn write(&self, call: &mut Cmd) -> Result<(), String> {
        call.arg(self.replay).arg(ttl_ms(self.ttl));
        Ok(())
    }

    fn read(&self, reply: Value) -> Result<Cancelling, String> {
        let fields = list(reply)?;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        match fields.as_slice() {
            ["cancelled"] => Ok(Cancelling::Cancelled),
            ["asked", owner, fence] => Ok(Cancelling::Asked(hold(owner, fence)?)),
            ["too late"] => Ok(Cancelling::TooLate),
            ["over", entry] => match packed::read(entry).map_err(|error| error.to_string())? {
                Entry::Settled(settled) => Ok(Cancelling::Over(settled.ending)),
                Entry::Running(_) | Entry::Finishing(..) | Entry::Waiting(_) => {
                    Err(unknown("over"))
                }
            },
            other => Err(unknown(&other.join(" "))),
        }
    }
}

fn write_hold(call: &mut Cmd, hold: Hold, ttl: Duration) {
    call.arg(hold.owner.to_string()).arg(hold.fence.0).arg(ttl_ms(ttl));
}

fn text(reply: Value) -> Result<String, String> {
    from_redis_value(reply).map_err(|error| error.to_string())
}

/// Reads a list of texts. The client would make one of other answers too; a script of ours never gives
/// those.
fn list(reply: Value) -> Result<Vec<String>, String> {
    if !matches!(reply, Value::Array(_)) {
        return Err(format!("the script's answer {reply:?} is no list"));
    }
    from_redis_value(reply).map_err(|error| error.to_string())
}

fn unknown(word: &str) -> String {
    format!("the script's answer {word:?} is unknown")
}

fn ruling(reply: Value) -> Result<Ruling, String> {
    match text(reply)?.as_str() {
        "accepted" => Ok(Ruling::Accepted),
        "cancelled" => Ok(Ruling::Cancelled),
        "refused" => Ok(Ruling::Refused),
        other => Err(unknown(other)),
    }
}

fn answer(reply: Value, asker: Owner) -> Result<Answer, String> {
    let fields = list(reply)?;
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    match fields.as_slice() {
        ["stale"] => Ok(Answer::Stale),
        ["again"] => Ok(Answer::Again),
        ["busy", owner, fence, age] => {
            let age = Duration::from_micros(number(age)?);
            Ok(Answer::Busy { hold: hold(owner, fence)?, age })
        }
        [word, entry] => {
            let entry = packed::read(entry).map_err(|error| error.to_string())?;
            // What another holds is never taken for ours, whatever was answered.
            if let Entry::Running(held) | Entry::Finishing(held, _) = &entry
                && held.hold.owner != asker
            {
                return Err(format!("{} holds it, who did not ask", held.hold.owner));
            }
            match (*word, entry) {
                ("claimed", Entry::Running(held)) => {
                    Ok(Answer::Claimed { fence: held.hold.fence, toll: held.toll })
                }
                ("resume", Entry::Finishing(held, decision)) => {
                    Ok(Answer::Resume { fence: held.hold.fence, order: held.order, decision })
                }
                ("settled", Entry::Settled(settled)) => Ok(Answer::Settled(settled.ending)),
                (word, _) => Err(unknown(word)),
            }
        }
        other => Err(unknown(&other.join(" "))),
    }
}

fn hold(owner: &str, fence: &str) -> Result<Hold, String> {
    let owner = owner.parse().map_err(|_| "the holder is no id".to_owned())?;
    Ok(Hold { owner, fence: Fence(number(fence)?) })
}

fn number(field: &str) -> Result<u64, String> {
    field.parse().map_err(|_| format!("{field:?} is no number"))
}

#[cfg(test)]
mod tests;
