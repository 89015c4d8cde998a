//! The stored form of an entry: one line of text, fields apart by one space, 20–200 bytes.
//!
//! ```text
//! R owner fence token claimed-at replay attempt starts crashes charged cancel
//! F owner fence token claimed-at replay attempt starts crashes charged cancel decision…
//! W replay attempt fence starts crashes charged
//! D replay        X replay reason        C replay        E replay
//! ```
//!
//! Owner is 32 hex digits, the other fields are decimal, times µs since 1970, `decision` is JSON
//! up to the end. Both stores keep this form: Redis's scripts read it, people can too.

use super::{Decision, Ending, Entry, Hold, Running, Settled, Toll, Waiting};
use crate::envelope::Order;
use crate::id::{Fence, Token};

/// Tells why a stored text is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored entry {text:?} cannot be read: {why}")]
pub struct Unreadable {
    /// The text, cut to 120 characters.
    pub text: String,
    /// Which field, and what was expected.
    pub why: &'static str,
}

/// Writes an entry.
#[must_use]
pub fn write(entry: &Entry) -> String {
    match entry {
        Entry::Running(held) => format!("R {}", write_running(held)),
        Entry::Finishing(held, decision) => {
            // Serialising our own plain types cannot fail; an empty document would be unreadable
            // and so refused later, never mistaken for an outcome.
            let json = serde_json::to_string(decision).unwrap_or_default();
            format!("F {} {json}", write_running(held))
        }
        Entry::Waiting(waiting) => {
            let Waiting { order, fence, toll } = waiting;
            format!("W {} {} {} {}", order.replay, order.attempt, fence.0, write_toll(toll))
        }
        Entry::Settled(Settled { replay, ending }) => match ending {
            Ending::Done => format!("D {replay}"),
            Ending::Dead(reason) => format!("X {replay} {reason}"),
            Ending::Cancelled => format!("C {replay}"),
            Ending::Expired => format!("E {replay}"),
        },
    }
}

fn write_running(held: &Running) -> String {
    format!(
        "{} {} {} {} {} {} {} {}",
        held.hold.owner,
        held.hold.fence.0,
        held.token.0,
        held.claimed_at,
        held.order.replay,
        held.order.attempt,
        write_toll(&held.toll),
        u8::from(held.cancel),
    )
}

fn write_toll(toll: &Toll) -> String {
    format!("{} {} {}", toll.starts, toll.crashes, toll.charged.0)
}

/// Reads an entry.
///
/// # Errors
/// [`Unreadable`] when the text was not written by [`write()`]; never a guess.
pub fn read(text: &str) -> Result<Entry, Unreadable> {
    parse(text).map_err(|why| Unreadable { text: text.chars().take(120).collect(), why })
}

fn parse(text: &str) -> Result<Entry, &'static str> {
    let (sort, rest) = text.split_once(' ').ok_or("it has no fields")?;
    let mut fields = Fields(rest);
    match sort {
        "R" => {
            let held = fields.running()?;
            fields.end()?;
            Ok(Entry::Running(held))
        }
        "F" => {
            let held = fields.running()?;
            let decision: Decision =
                serde_json::from_str(fields.0).map_err(|_| "the decision is not JSON of ours")?;
            Ok(Entry::Finishing(held, decision))
        }
        "W" => {
            let order = fields.order()?;
            let fence = Fence(fields.number("fence")?);
            let toll = fields.toll()?;
            fields.end()?;
            Ok(Entry::Waiting(Waiting { order, fence, toll }))
        }
        "D" | "X" | "C" | "E" => {
            let replay = fields.number("replay")?;
            let ending = match sort {
                "D" => Ending::Done,
                "X" => Ending::Dead(fields.next()?.parse().map_err(|_| "unknown dead reason")?),
                "C" => Ending::Cancelled,
                _ => Ending::Expired,
            };
            fields.end()?;
            Ok(Entry::Settled(Settled { replay, ending }))
        }
        _ => Err("its first letter is none of R F W D X C E"),
    }
}

/// What is left to read of a line.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<&'a str, &'static str> {
        if self.0.is_empty() {
            return Err("a field is missing");
        }
        let (field, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        Ok(field)
    }

    fn number<T: std::str::FromStr>(&mut self, what: &'static str) -> Result<T, &'static str> {
        self.next()?.parse().map_err(|_| what)
    }

    fn order(&mut self) -> Result<Order, &'static str> {
        Ok(Order { replay: self.number("replay")?, attempt: self.number("attempt")? })
    }

    fn toll(&mut self) -> Result<Toll, &'static str> {
        Ok(Toll {
            starts: self.number("starts")?,
            crashes: self.number("crashes")?,
            charged: Fence(self.number("charged")?),
        })
    }

    fn running(&mut self) -> Result<Running, &'static str> {
        let hold = Hold { owner: self.number("owner")?, fence: Fence(self.number("fence")?) };
        Ok(Running {
            hold,
            token: Token(self.number("token")?),
            claimed_at: self.number("claimed-at")?,
            order: self.order()?,
            toll: self.toll()?,
            cancel: match self.next()? {
                "0" => false,
                "1" => true,
                _ => return Err("cancel is neither 0 nor 1"),
            },
        })
    }

    fn end(&self) -> Result<(), &'static str> {
        if self.0.is_empty() { Ok(()) } else { Err("it has fields too many") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::envelope::DeadReason;
    use crate::id::Owner;
    use crate::ledger::{Failure, Outcome};

    fn running() -> Running {
        Running {
            hold: Hold { owner: Owner::mint(), fence: Fence(1_790_000_000_000_001) },
            token: Token(u64::MAX),
            claimed_at: 1_790_000_000_000_000,
            order: Order { replay: 2, attempt: 3 },
            toll: Toll { starts: 4, crashes: 1, charged: Fence(1_789_999_999_999_999) },
            cancel: true,
        }
    }

    #[test]
    fn every_sort_of_entry_is_read_back_as_it_was() {
        let failure = Failure {
            class: "x y".to_owned(),
            message: "two\nlines, \"quotes\" and  spaces".to_owned(),
            at: Millis(7),
        };
        let outcome = Outcome::Dead { reason: DeadReason::Poison, failure };
        let waiting = Waiting {
            order: Order { replay: 0, attempt: 9 },
            fence: Fence(8),
            toll: Toll::default(),
        };
        let settled = |ending| Entry::Settled(Settled { replay: 5, ending });
        for entry in [
            Entry::Running(running()),
            Entry::Finishing(running(), Decision { outcome, follow_ups: Vec::new() }),
            Entry::Waiting(waiting),
            settled(Ending::Done),
            settled(Ending::Dead(DeadReason::AttemptsExhausted)),
            settled(Ending::Cancelled),
            settled(Ending::Expired),
        ] {
            assert_eq!(read(&write(&entry)), Ok(entry));
        }
    }

    #[test]
    fn a_running_entry_fits_two_hundred_bytes_and_a_done_one_sixty_four() {
        assert!(write(&Entry::Running(running())).len() <= 200);
        let done = Entry::Settled(Settled { replay: u32::MAX, ending: Ending::Done });
        assert!(write(&done).len() <= 64);
    }

    #[test]
    fn what_is_not_ours_is_refused_not_guessed() {
        for text in ["", "R", "Q 1", "D", "D x", "D 1 2", "X 1 nonsense", "W 1 2 3", "F a b c"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
