//! What comes of a schedule by the page of schedules, where beats came and went and clocks jumped.
//!
//! Written from `docs/schedules.md` and not from the engine: it goes through every instant, one by one. A beat begins
//! and ends at a moment that nobody outside knows exactly, so an occurrence is put in for certain, or perhaps, or never.

use std::collections::BTreeSet;
use std::time::Duration;

use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use leveret_common::schedule::{Misfire, MisfirePolicy};

/// How far the moments may lie apart that are looked at between the first and the last possible one.
const STEP: Duration = Duration::from_secs(1);

/// A moment that is known to lie between two, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Between(pub(crate) Millis, pub(crate) Millis);

/// A time in which a beat acted, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spell {
    /// When it began to act.
    pub(crate) began: Between,
    /// When it ended, or its clock jumped.
    pub(crate) ended: Between,
}

/// What came of one schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Has been put in.
    pub(crate) surely: BTreeSet<Millis>,
    /// May have been put in.
    pub(crate) perhaps: BTreeSet<Millis>,
    /// How far the schedule has got.
    through: Between,
}

impl Owed {
    /// Nothing yet of a schedule that begins somewhere between these.
    pub(crate) const fn beginning(through: Between) -> Self {
        Self { surely: BTreeSet::new(), perhaps: BTreeSet::new(), through }
    }

    /// Adds what a further spell brings.
    pub(crate) fn spell(&mut self, timing: &Timing, misfire: &Misfire, spell: &Spell) {
        let Between(first, last) = spell.began;
        let dues = timing.upcoming(self.through.0).take_while(|due| *due <= spell.ended.1);
        let dues: Vec<(Millis, Millis)> = dues.map(|due| (due, timing.planned(due))).collect();
        let (mut always, mut ever) = (None::<BTreeSet<Millis>>, BTreeSet::new());
        let mut began = first;
        loop {
            let least = put_in(&dues, misfire, (self.through.1, spell.ended.0), began);
            ever.extend(put_in(&dues, misfire, (self.through.0, spell.ended.1), began));
            always = Some(match always {
                None => least,
                Some(always) => always.intersection(&least).copied().collect(),
            });
            if began >= last {
                break;
            }
            began = began.after(STEP).min(last);
        }
        self.surely.extend(always.unwrap_or_default());
        self.perhaps.extend(ever);
        self.perhaps = self.perhaps.difference(&self.surely).copied().collect();
        // What is due by then was put in or left out; a clock that was set back undoes neither.
        let Between(least, most) = self.through;
        self.through = Between(least.max(spell.ended.0), most.max(spell.ended.1));
    }
}

/// Lists what a beat puts in, of what is due and when it is planned, that begins to act at `began`: with a schedule that
/// has got to one instant, until another one.
fn put_in(
    dues: &[(Millis, Millis)],
    misfire: &Misfire,
    (through, ended): (Millis, Millis),
    began: Millis,
) -> BTreeSet<Millis> {
    let begin = dues.partition_point(|(due, _)| *due <= through);
    let dues = dues[begin..].iter().copied().take_while(|(due, _)| *due <= ended);
    let is_missed = |(_, planned): &(Millis, Millis)| planned.after(misfire.after) < began;
    let (missed, on_time): (Vec<_>, Vec<_>) = dues.partition(is_missed);
    let mut put_in: BTreeSet<Millis> = on_time.into_iter().map(|(due, _)| due).collect();
    let late = missed.into_iter().rev().map(|(due, _)| due);
    let mut late = late.take_while(|due| due.after(misfire.window) > began);
    match misfire.policy {
        MisfirePolicy::Skip => {}
        MisfirePolicy::Latest if put_in.first().is_some_and(|due| *due <= began) => {}
        MisfirePolicy::Latest => put_in.extend(late.next()),
        MisfirePolicy::All => put_in.extend(late.take(misfire.max as usize)),
    }
    put_in
}

#[cfg(test)]
mod tests {
    use super::super::judge::read;
    use super::*;

    /// 2027-01-15T08:00:00Z.
    const BEGIN: u64 = 1_800_000_000;
    const HOUR: u64 = 3_600;

    const fn at(second: u64) -> Millis {
        Millis((BEGIN + second) * 1_000)
    }

    const fn exactly(second: u64) -> Between {
        Between(at(second), at(second))
    }

    /// Has a schedule that begins at second 0 go through spells, and returns what surely and what perhaps came of it.
    fn owed(when: &str, misfire: &str, spells: &[Spell]) -> (Vec<u64>, Vec<u64>) {
        let file =
            format!("[schedules.a]\nwhen = \"{when}\"\nkind = \"ok\"\nmisfire = {{ {misfire} }}\n");
        let row = &read(&file).unwrap()[0];
        let mut owed = Owed::beginning(exactly(0));
        spells.iter().for_each(|spell| owed.spell(&row.timing, &row.misfire, spell));
        let seconds = |of: BTreeSet<Millis>| of.iter().map(|at| at.0 / 1_000 - BEGIN).collect();
        (seconds(owed.surely), seconds(owed.perhaps))
    }

    fn spell(began: u64, ended: u64) -> Spell {
        Spell { began: exactly(began), ended: exactly(ended) }
    }

    #[test]
    fn each_policy_says_how_much_of_a_long_absence_is_caught_up_with() {
        let away = [spell(0, 10), spell(5 * HOUR + 20, 5 * HOUR + 30)];
        let hours = |hours: &[u64]| hours.iter().map(|hour| hour * HOUR).collect::<Vec<_>>();
        // The fifth is late by less than a minute.
        for (misfire, expected) in [
            ("policy = \"skip\"", hours(&[5])),
            ("policy = \"latest\"", hours(&[5])),
            ("policy = \"all\", max = 2", hours(&[3, 4, 5])),
            ("policy = \"all\", window = \"3h\"", hours(&[3, 4, 5])),
            ("policy = \"latest\", after = \"10s\"", hours(&[5])),
            ("policy = \"skip\", after = \"10s\"", vec![]),
        ] {
            assert_eq!(owed("every 1h", misfire, &away), (expected, vec![]), "{misfire}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_brings_nothing_before_it_has_caught_up() {
        let spells = [spell(0, 65), spell(20, 50), spell(100, 130)];
        let (surely, perhaps) = owed("every 30s", "policy = \"all\"", &spells);
        assert_eq!((surely, perhaps), (vec![30, 60, 90, 120], vec![]));
    }

    #[test]
    fn what_depends_on_a_moment_that_nobody_knows_comes_perhaps() {
        let first = Spell { began: exactly(0), ended: Between(at(25), at(35)) };
        let next = Spell { began: Between(at(110), at(125)), ended: exactly(130) };
        let (surely, perhaps) = owed("every 30s", "policy = \"skip\"", &[first, next]);
        // The second may have been put in before the end; the third may have been missed.
        assert_eq!((surely, perhaps), (vec![90, 120], vec![30, 60]));
    }
}
