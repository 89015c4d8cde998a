//! Of an id that nobody knows: what it may be, and what it cannot be.

use std::time::Duration;

use leveret_common::clock::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Custody, Facts, Said, counted, time};

/// One of the things that an unknown id may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Possibility {
    /// `never-accepted`, `not-recorded` or `forgotten`.
    pub what: &'static str,
    /// Whether it can be excluded.
    pub excluded: bool,
    /// Why it is possible or excluded.
    pub why: String,
}

impl Facts {
    pub(super) fn unknown(&self) -> Said {
        let possibilities = vec![self.never_accepted(), self.not_recorded(), self.forgotten()];
        let open: Vec<_> = possibilities.iter().filter(|p| !p.excluded).map(|p| p.what).collect();
        let summary = match open.as_slice() {
            ["never-accepted"] => "Nobody knows it; most likely it was never accepted.".to_owned(),
            many => format!("Nobody knows it; it may be one of {} things.", many.len()),
        };
        let because = possibilities
            .iter()
            .map(|p| format!("{}{}", if p.excluded { "Excluded: " } else { "Possible: " }, p.why))
            .collect();
        let advice = vec![
            "Check the id, and whether its sender was told 202. Sending it again with the same id \
             or key cannot double it while the ledger remembers it."
                .to_owned(),
            format!(
                "If its message may still come and must not run: `leveret task cancel {} --force`.",
                self.id
            ),
        ];
        Said { summary, custody: Custody::Unknown { possibilities }, because, advice }
    }

    fn never_accepted(&self) -> Possibility {
        let why = match self.minted_at() {
            Some(at) if at > self.now.after(Duration::from_secs(60)) => format!(
                "it was never accepted; the id says that it was made in the future, {}",
                time::text(at)
            ),
            _ => "it was never accepted: its sender was not told 202, or the id is misspelt"
                .to_owned(),
        };
        Possibility { what: "never-accepted", excluded: false, why }
    }

    fn not_recorded(&self) -> Possibility {
        let what = "not-recorded";
        let resting = match self.resting {
            Some(number) => format!(
                "{} in the known lanes, delays not counted",
                match number {
                    1 => "1 message rests".to_owned(),
                    number => format!("{} rest", counted(number, "message", "messages")),
                }
            ),
            None => "the broker could not be asked what rests in the lanes".to_owned(),
        };
        let why = if self.recorded {
            format!(
                "it waits and its enqueue was not recorded, because it was put in by a client of \
                 the broker or the store was away just then (this gateway records enqueues; \
                 {resting})"
            )
        } else {
            format!(
                "it waits and its enqueue was not recorded, because records.enqueue is off \
                 ({resting})"
            )
        };
        Possibility { what, excluded: false, why }
    }

    fn forgotten(&self) -> Possibility {
        let what = "forgotten";
        let kept = time::rough(self.kept);
        let age = self.minted_at().map(|at| (at, self.now.since(at)));
        match age {
            Some((at, age)) if age < self.kept => Possibility {
                what,
                excluded: true,
                why: format!(
                    "it ended, or has waited in its lane, for longer than tasks are remembered: its \
                     id was made only {} ago, at {}, and they are remembered for {kept} (unless the \
                     store lost its memory)",
                    time::rough(age),
                    time::text(at)
                ),
            },
            Some((at, age)) => Possibility {
                what,
                excluded: false,
                why: format!(
                    "it ended, or has waited in its lane, for longer than tasks are remembered \
                     ({kept}); its id was made {} ago, at {}",
                    time::rough(age),
                    time::text(at)
                ),
            },
            None => Possibility {
                what,
                excluded: false,
                why: format!(
                    "it ended, or has waited in its lane, for longer than tasks are remembered \
                     ({kept}); the id does not say how old it is"
                ),
            },
        }
    }

    /// Reads when the id was made, which a UUID of version 7 tells.
    fn minted_at(&self) -> Option<Millis> {
        let uuid = self.id.uuid();
        (uuid.get_version_num() == 7).then(|| {
            let (high, _) = uuid.as_u64_pair();
            Millis(high >> 16)
        })
    }
}
