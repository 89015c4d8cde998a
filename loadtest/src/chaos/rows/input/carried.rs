//! What an older worker does with a message of today's version that holds more than it knows: it performs it, and hands
//! on what it does not know through a park, a retry, a dead letter, a replay, and another dead letter.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldArray, FieldTable};
use leveret_common::envelope::header;
use leveret_common::id::TaskId;
use leveret_common::telemetry::names::PARKS;
use leveret_common::testkit::raw::{Properties, block, entry};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::metric::counted_by;
use super::super::wait::SOON;
use super::super::{deploy, letters};
use super::sender::Sender;
use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::settings::kind;
use crate::oracle::{Ending, Event, Finding};

/// How long all work may take to end.
const PATIENCE: Duration = Duration::from_secs(90);
/// A kind that is unknown at first, then fails, then is dead.
const KIND: &str = "wrong-at-the-second-attempt";
const WORK: &str = "[ $LEVERET_ATTEMPT = 1 ] && exit 1; exit 65";
/// A header of a newer version.
const TOMORROW: &str = "lv-of-tomorrow";

/// Values of a header, as they are sent and as they have to come back.
fn values() -> Vec<(Vec<u8>, AMQPValue)> {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut table = FieldTable::default();
    table.insert("a".into(), text("b"));
    let list = FieldArray::from(vec![text("b")]);
    vec![
        (block(b'S', b"text"), text("text")),
        (block(b'S', "\u{e9}\u{1f407}".as_bytes()), text("\u{e9}\u{1f407}")),
        (number(b'l', &(-7_i64).to_be_bytes()), AMQPValue::LongLongInt(-7)),
        (number(b'd', &1.5_f64.to_be_bytes()), AMQPValue::Double(1.5)),
        (number(b't', &[1]), AMQPValue::Boolean(true)),
        (number(b'T', &7_u64.to_be_bytes()), AMQPValue::Timestamp(7)),
        (block(b'x', b"\0\xff"), AMQPValue::ByteArray(b"\0\xff".as_slice().into())),
        (block(b'A', &block(b'S', b"b")), AMQPValue::FieldArray(list)),
        (block(b'F', &entry("a", &block(b'S', b"b"))), AMQPValue::FieldTable(table)),
    ]
}

fn number(kind: u8, octets: &[u8]) -> Vec<u8> {
    [&[kind], octets].concat()
}

pub(super) async fn by_an_older_worker(play: &Play) -> Result<Finding, Error> {
    let play = Play { folder: play.folder.join("carried"), ..play.clone() };
    let mut stage = Stage::open(&play, Plan { workers: 1, ..Plan::default() }).await?;
    let sent = publish(&mut stage).await?;
    let (began, mut parked) = (Instant::now(), 0);
    while parked < sent.len() as u64 && began.elapsed() < SOON {
        parked = counted_by(stage.workers(), PARKS, "cause=\"unknown-kind\"").await?;
        sleep(Duration::from_millis(50)).await;
    }
    stage.happened("nobody parked them", parked >= sent.len() as u64)?;
    let table = kind(KIND, "5m", &stage.fleet.journal.script(WORK));
    stage.fleet.add_settings("worker", &table)?;
    deploy::workers(&mut stage, "").await?;

    stage.say("waits for dead letters, and replays them");
    let mut wrong = differing(&mut stage, &sent, 0).await?;
    for (id, _) in &sent {
        stage.note(Event::Replayed { id: *id, at: Fleet::now() });
        replay(&stage, *id).await?;
    }
    let mut finding = stage.judged(PATIENCE).await?;
    wrong.extend(differing(&mut stage, &sent, 1).await?);
    finding.wrong.append(&mut wrong);
    finding.notes.push(format!("{} sorts of unknown headers were carried along", sent.len()));
    Ok(finding)
}

/// Replays a letter, as soon as the ledger knows what the broker has already.
async fn replay(stage: &Stage, id: TaskId) -> Result<(), Error> {
    let (path, began) = (format!("/v1/dead/{id}/replay"), Instant::now());
    loop {
        let (status, told) = stage.fleet.door.post(&path, &json!({})).await?;
        if status == 202 {
            return Ok(());
        }
        stage.happened(&format!("no replay ({status}): {told}"), began.elapsed() < SOON)?;
        sleep(Duration::from_millis(200)).await;
    }
}

async fn publish(stage: &mut Stage) -> Result<Vec<(TaskId, AMQPValue)>, Error> {
    stage.say("publishes tasks with headers of tomorrow");
    let mut sender = Sender::connect(stage).await?;
    let mut sent = Vec::new();
    for (value, expected) in values() {
        let id = TaskId::mint();
        let strange = entry("x-strange", &block(b'S', b"not ours"));
        let properties = Properties::default()
            .text("type", KIND)
            .text("message_id", id.to_string())
            .headers(&[entry(TOMORROW, &value), strange]);
        sender.send(&properties, b"1").await?;
        stage.fleet.books.open().accept(id, KIND, Fleet::now());
        stage.fleet.books.open().expect(id, Ending::Dead(&["handler"]));
        sent.push((id, expected));
    }
    Ok(sent)
}

/// Waits until each has one letter of this replay, and tells what the letters do not hold as it was sent.
async fn differing(
    stage: &mut Stage,
    sent: &[(TaskId, AMQPValue)],
    replay: i64,
) -> Result<Vec<String>, Error> {
    let (began, mut letters) = (Instant::now(), Vec::new());
    while letters.len() < sent.len() && began.elapsed() < SOON {
        letters = letters::rest(stage).await?;
        letters.retain(|letter| number_of(letter, header::REPLAY) == replay);
        sleep(Duration::from_millis(200)).await;
    }
    let mut wrong = Vec::new();
    for (id, expected) in sent {
        let of_it: Vec<_> = letters.iter().filter(|letter| letter.id == Some(*id)).collect();
        let is_kept = of_it.len() == 1
            && of_it[0].header(TOMORROW) == Some(expected)
            && number_of(of_it[0], header::ATTEMPT) == 2
            && of_it[0].header("x-strange").is_none();
        if !is_kept {
            wrong.push(format!("{expected:?} in replay {replay} became {of_it:?}"));
        }
    }
    Ok(wrong)
}

fn number_of(letter: &letters::Letter, name: &str) -> i64 {
    letter.header(name).and_then(AMQPValue::as_long_long_int).unwrap_or_default()
}
