//! Whether a claim in our way may be taken over: one pure decision (rules L1, L2, L4, C7).

use leveret_common::id::Owner;
use leveret_common::ledger::Hold;
use leveret_common::sabotage::{Break, breaks};
use leveret_common::store::Liveness;

/// What a worker knows of itself when it judges somebody's claim.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The worker.
    pub owner: Owner,
    /// Whether it holds the judged claim itself, or may hold it in a moment.
    pub holds_it: bool,
    /// Whether it has had one TTL of unbroken contact with the store (rule L4).
    pub settled_in: bool,
}

/// Decides on a claim; `observed` is what the fleet says of its holder.
///
/// A claim in our own name that we do not hold is a lost reply: we may take it over at once. A
/// dead holder may be taken over only once every owner had one TTL to speak first.
#[must_use]
pub fn verdict(standing: Standing, hold: Hold, observed: Liveness) -> Liveness {
    if hold.owner == standing.owner {
        return if standing.holds_it { Liveness::Alive } else { Liveness::Orphaned };
    }
    let settled_in = standing.settled_in || breaks(Break::TakeoverWithoutGrace);
    match observed {
        Liveness::Dead | Liveness::Orphaned if !settled_in => Liveness::Unsure,
        Liveness::Alive | Liveness::Orphaned | Liveness::Dead | Liveness::Unsure => observed,
    }
}
