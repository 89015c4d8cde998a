//! How a letter stands towards the ledger: pure.

use crate::desk::letter;
use crate::envelope::Wire;
use crate::ledger::{Ending, Entry};
use crate::store::Letter;

/// How a letter stands towards the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the last word on its task.
    Dead,
    /// Its replay waits or runs.
    OnItsWay,
    /// Its task went on without it, and ended.
    Superseded,
    /// The broker moved it here, and nobody ever started it.
    NeverStarted,
    /// The broker moved it here, its outcome is decided, and whoever decided it is gone: back in its
    /// lane, somebody finishes what was decided (rule C4).
    Owed,
    /// The broker moved it here after it had been started.
    Unexplained,
    /// Somebody runs it or is about to end it, or its entry cannot be read: looked at again next
    /// time.
    Untouchable,
}

/// Tells how a letter stands; `holder_is_gone` where whoever holds its task was found dead.
pub(super) fn standing(
    letter: &Letter,
    wire: &Wire,
    entry: Option<&Entry>,
    holder_is_gone: bool,
) -> Standing {
    let is_stray = letter::is_stray(wire);
    let stands = if is_stray {
        of_stray(letter, entry, holder_is_gone)
    } else {
        of_letter(letter.order.replay, entry)
    };
    match stands {
        // The ledger has forgotten it, but the message knows: it had been started.
        Standing::NeverStarted if letter::was_tried(wire) => Standing::Unexplained,
        stands => stands,
    }
}

fn of_letter(replay: u32, entry: Option<&Entry>) -> Standing {
    match entry {
        None => Standing::Dead,
        Some(Entry::Settled(settled)) if settled.replay < replay => Standing::Dead,
        Some(Entry::Settled(settled)) => match settled.ending {
            // This very letter, unless a newer one was confirmed before the ledger said so.
            Ending::Dead(_) if settled.replay == replay => Standing::Dead,
            Ending::Dead(_) | Ending::Done | Ending::Cancelled | Ending::Expired => {
                Standing::Superseded
            }
        },
        Some(entry) if replay_of(entry) > replay => Standing::OnItsWay,
        // The letter is confirmed before the ledger says dead: its worker is about to say so, or
        // died and the redelivery will.
        Some(Entry::Finishing(..)) => Standing::Untouchable,
        Some(Entry::Waiting(_) | Entry::Running(_)) => Standing::Dead,
    }
}

fn of_stray(letter: &Letter, entry: Option<&Entry>, holder_is_gone: bool) -> Standing {
    let replay = letter.order.replay;
    match entry {
        None => Standing::NeverStarted,
        // A replay that nobody claimed yet.
        Some(Entry::Settled(settled)) if settled.replay < replay => Standing::NeverStarted,
        // Where it ended as a letter, that one was confirmed before, and stands beside it.
        Some(Entry::Settled(_)) => Standing::Superseded,
        Some(entry) if replay_of(entry) > replay => Standing::OnItsWay,
        Some(Entry::Waiting(waiting)) if waiting.order.replay < replay => Standing::NeverStarted,
        Some(Entry::Waiting(waiting)) if waiting.order > letter.order => Standing::Superseded,
        Some(Entry::Waiting(waiting)) if waiting.toll.starts == 0 => Standing::NeverStarted,
        Some(Entry::Waiting(_)) => Standing::Unexplained,
        Some(Entry::Running(held)) if holder_is_gone && held.order.replay < replay => {
            Standing::NeverStarted
        }
        Some(Entry::Running(_)) if holder_is_gone => Standing::Unexplained,
        Some(Entry::Finishing(..)) if holder_is_gone => Standing::Owed,
        Some(Entry::Running(_) | Entry::Finishing(..)) => Standing::Untouchable,
    }
}

/// Returns the replay that an entry is about.
const fn replay_of(entry: &Entry) -> u32 {
    match entry {
        Entry::Running(held) | Entry::Finishing(held, _) => held.order.replay,
        Entry::Waiting(waiting) => waiting.order.replay,
        Entry::Settled(settled) => settled.replay,
    }
}
