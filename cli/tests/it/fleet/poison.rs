//! A task that kills its worker: a few starts, then a dead letter; its neighbours end done.

use leveret_common::id::TaskId;
use leveret_common::testkit::eventually;

use super::{DEADLINE, Fleet, Ground};

/// The default of `worker.max_crashes`.
const MAX_CRASHES: usize = 3;
/// As many as there are slots beside the killer's.
const INNOCENTS: usize = 3;

async fn a_killer_is_dead_after_three_starts(ground: Ground) {
    let fleet = Fleet::new(ground, 2).await;
    let killer = TaskId::mint();
    let worker = fleet.start("").await;
    fleet.enqueue(fleet.door(&worker), killer, "killer").await;
    worker.killed().await;
    for _ in 1..MAX_CRASHES {
        fleet.start_to_be_killed().await;
    }
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let over = fleet.over(&door, killer).await;
    assert_eq!((&over["state"], &over["reason"]), (&"dead".into(), &"poison".into()), "{over}");
    let crashes: Vec<u32> = fleet.runs(killer).iter().map(|run| run.crashes).collect();
    assert_eq!(crashes, [0, 1, 2]);
}

impl Fleet {
    /// Adds a kind that kills its worker once all its neighbours have started.
    fn knows_a_patient_killer(&self) {
        let (note, folder) = (self.journal.script(), self.folder.path().display());
        let all = INNOCENTS + 1;
        let wait = format!("while [ $(wc -l < {folder}/journal) -lt {all} ]; do sleep 0.05; done");
        let kind = format!(
            "[kinds.patient-killer]\nexec = [\"sh\", \"-c\", '{note}; {wait}; kill -9 $PPID']\n"
        );
        let settings = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), settings + &kind).unwrap();
    }
}

async fn what_ran_beside_a_killer_is_done_and_never_poison(ground: Ground) {
    let fleet = Fleet::new(ground, INNOCENTS + 1).await;
    fleet.knows_a_patient_killer();
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let killer = TaskId::mint();
    // First in its lane, and so among the first to come back.
    assert_eq!(fleet.enqueue(&door, killer, "patient-killer").await, Some(202));
    eventually(DEADLINE, "the killer runs", || async { fleet.runs(killer).len() == 1 }).await;
    let innocents: Vec<TaskId> = (0..INNOCENTS).map(|_| TaskId::mint()).collect();
    for innocent in &innocents {
        // With the last one the process may end before it answers.
        fleet.enqueue(&door, *innocent, "slow").await;
    }
    worker.killed().await;
    // From now on the innocents end as soon as they are let.
    std::fs::write(fleet.folder.path().join("go"), "").unwrap();
    for _ in 1..MAX_CRASHES {
        fleet.start_to_be_killed().await;
    }

    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let over = fleet.over(&door, killer).await;
    assert_eq!((&over["state"], &over["reason"]), (&"dead".into(), &"poison".into()), "{over}");
    let crashes: Vec<u32> = fleet.runs(killer).iter().map(|run| run.crashes).collect();
    assert_eq!(crashes, [0, 1, 2]);
    for innocent in innocents {
        let over = fleet.over(&door, innocent).await;
        assert_eq!(over["state"], "done", "{over}");
        let runs = fleet.runs(innocent);
        // The first worker died with it. So did the second, where that had just been claimed and
        // not yet been given back; the killer's last start was alone.
        let told = runs.last().unwrap().crashes;
        println!("an innocent is told of {told} crashes in {} runs", runs.len());
        assert!(matches!(told, 1 | 2), "{runs:?}");
    }
}

on_every_ground! {
    a_killer_is_dead_after_three_starts,
    what_ran_beside_a_killer_is_done_and_never_poison,
}
