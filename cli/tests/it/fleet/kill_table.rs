//! The kill table: at which step the worker is killed, how often the handler runs, and whether a
//! crash is charged. The same on every backend.

use leveret_common::id::TaskId;
use leveret_common::testkit::services::variable;

use super::rest::Letters;
use super::{Fleet, Ground, follow_ups_of};

/// One row: the kind's way to end, the step at which the process aborts, and what must follow.
struct Row {
    kind: &'static str,
    step: &'static str,
    /// The attempts that run, in order.
    attempts: &'static [u32],
    /// The crashes that the last run is told of.
    crashes: u32,
    state: &'static str,
}

const fn row(
    kind: &'static str,
    step: &'static str,
    attempts: &'static [u32],
    crashes: u32,
    state: &'static str,
) -> Row {
    Row { kind, step, attempts, crashes, state }
}

const TABLE: &[Row] = &[
    row("ok", "settle.delivered", &[1], 0, "done"),
    row("ok", "settle.claimed", &[1], 1, "done"),
    row("ok", "settle.ended", &[1, 1], 1, "done"),
    row("ok", "settle.marked", &[1], 0, "done"),
    row("ok", "settle.acked", &[1], 0, "done"),
    row("retry-once", "settle.ended", &[1, 1, 2], 1, "done"),
    row("retry-once", "settle.decided", &[1, 2], 0, "done"),
    row("retry-once", "settle.confirmed", &[1, 2], 0, "done"),
    row("retry-once", "settle.marked", &[1, 2], 0, "done"),
    row("retry-once", "settle.acked", &[1, 2], 0, "done"),
    row("wrong", "settle.ended", &[1, 1], 1, "dead"),
    row("wrong", "settle.decided", &[1], 0, "dead"),
    row("wrong", "settle.confirmed", &[1], 0, "dead"),
    row("wrong", "settle.marked", &[1], 0, "dead"),
    row("wrong", "settle.acked", &[1], 0, "dead"),
    // With follow-ups: each of them runs once too.
    row("parent", "settle.ended", &[1, 1], 1, "done"),
    row("parent", "settle.decided", &[1], 0, "done"),
    row("parent", "settle.confirmed", &[1], 0, "done"),
    row("parent", "settle.marked", &[1], 0, "done"),
    row("parent", "settle.acked", &[1], 0, "done"),
    // Detached: the delivery is acked before the run, and a parked copy stands for it.
    row("long", "settle.claimed", &[1], 1, "done"),
    row("long", "settle.parked-copy", &[1], 1, "done"),
    row("long", "settle.let-go", &[1], 1, "done"),
    row("long", "settle.ended", &[1, 1], 1, "done"),
    row("long", "settle.marked", &[1], 0, "done"),
    row("long-parent", "settle.decided", &[1], 0, "done"),
    row("long-parent", "settle.confirmed", &[1], 0, "done"),
    row("long-parent", "settle.marked", &[1], 0, "done"),
    row("long-retry-once", "settle.decided", &[1, 2], 0, "done"),
    row("long-retry-once", "settle.confirmed", &[1, 2], 0, "done"),
    row("long-retry-once", "settle.marked", &[1, 2], 0, "done"),
    row("long-wrong", "settle.decided", &[1], 0, "dead"),
    row("long-wrong", "settle.confirmed", &[1], 0, "dead"),
    row("long-wrong", "settle.marked", &[1], 0, "dead"),
    // Parked once, because nobody knows the kind; then it is known.
    row("unknown", "park.confirmed", &[1], 0, "done"),
];

async fn row_holds(ground: Ground, row: &Row) {
    let fleet = Fleet::new(ground, 4).await;
    let kind = if row.kind == "unknown" { "later" } else { row.kind };
    let id = TaskId::mint();
    let worker = fleet.start(&format!("{}=return", row.step)).await;
    let door = fleet.door(&worker).to_owned();
    fleet.enqueue(&door, id, kind).await;
    worker.aborted().await;

    if row.kind == "unknown" {
        let script = fleet.journal.script();
        let known = format!("[kinds.later]\nexec = [\"sh\", \"-c\", '{script}']\n");
        let settings = std::fs::read_to_string(fleet.config()).unwrap();
        std::fs::write(fleet.config(), settings + &known).unwrap();
    }
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let over = fleet.over(&door, id).await;
    let follow_ups = if row.kind.ends_with("parent") { &follow_ups_of(id)[..] } else { &[] };
    for follow_up in follow_ups {
        fleet.over(&door, *follow_up).await;
    }
    // A task behind it shows that the worker went on.
    let behind = TaskId::mint();
    assert_eq!(fleet.enqueue(&door, behind, "ok").await, Some(202));
    fleet.over(&door, behind).await;
    // A second copy may still be parked: only at rest are all runs in the journal. Servers can be
    // looked into from outside; the embedded file only by its one process.
    if matches!(fleet.ground, Ground::Servers { .. }) {
        let letters = if row.state == "dead" { Letters::Some } else { Letters::None };
        fleet.works_until_rest(vec![worker], letters).await;
    } else if row.kind.starts_with("long") {
        fleet.copies_come_back(&door).await;
    }

    let place = format!("{} killed at {}", row.kind, row.step);
    assert_eq!(over["state"], row.state, "{place}: {over}");
    let runs = fleet.runs(id);
    let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
    assert_eq!(attempts, row.attempts, "{place}: {runs:?}");
    assert!(runs.is_sorted_by(|a, b| a.fence < b.fence), "{place}: fences do not grow: {runs:?}");
    for follow_up in follow_ups {
        assert_eq!(fleet.runs(*follow_up).len(), 1, "{place}: a follow-up runs once");
    }
    let told = runs.last().map(|run| run.crashes);
    assert_eq!(told, Some(row.crashes), "{place}: {runs:?}");
}

pub(super) async fn table_holds(ground: Ground) {
    if !leveret_common::failpoint::COMPILED_IN {
        println!("SKIPPED: the kill table needs --features leveret/failpoints");
        assert!(variable("CI").as_deref() != Some("true"), "it must run in CI");
        return;
    }
    // Four fleets at a time: each waits mostly for heartbeats to end.
    let mut rows = TABLE.iter();
    loop {
        let batch: Vec<_> =
            rows.by_ref().take(4).map(|row| row_holds(ground.clone(), row)).collect();
        if batch.is_empty() {
            return;
        }
        futures_util::future::join_all(batch).await;
    }
}

async fn the_kill_table_holds(ground: Ground) {
    table_holds(ground).await;
}

on_every_ground!(the_kill_table_holds);
