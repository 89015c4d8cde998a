//! F33: messages that mean nothing, published under the load of good ones.
//!
//! Each runs or is a dead letter with a reason and with its raw bytes, after it was handed out once; nobody panics, and
//! the neighbours go on. Only a few are not here: those which say that their time is in a far future, because they
//! rightly wait for it. The set is the one of the worker's own tests, with a deeper body.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::envelope::header;
use leveret_common::id::TaskId;
use leveret_common::telemetry::names::PARKS;
use leveret_common::testkit::malformed;
use leveret_common::testkit::raw::{Properties, entry};

use super::super::footprint::computed;
use super::super::letters;
use super::super::metric::counted_by;
use super::super::wait::runs_within;
use super::sender::Sender;
use crate::chaos::{Plan, Play, Stage};
use crate::error::{Error, while_doing};
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::oracle::{Ending, Finding};

/// How long all work may take to end once the producers have stopped, and what comes before it in the lane.
const PATIENCE: Duration = Duration::from_secs(180);
/// Runs before the first of them: the pace to come back to.
const PACE: usize = 100;
/// What a message of an unknown version is parked for, so that it is over within the play.
const WINDOW: &str = "intake.deploy_window=return(5000)";
/// What a message may cost a worker (invariant I18), on the average of all that it performs meanwhile.
const COST: Duration = Duration::from_millis(50);
/// The kind that the set is built on, as far as it names one.
const KIND: &str = "ok";
/// What the books call a message that may be a dead letter.
const MALFORMED: &str = "malformed";

/// How a message has to end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Done,
    /// A dead letter with this reason, of which the error says this.
    Dead(&'static str, String),
    /// Either of them.
    Either,
    /// Either of them, or it expires.
    Over,
}

struct Sent {
    id: TaskId,
    body: Vec<u8>,
    end: End,
}

/// A message to send: its properties, its body, its end.
type Message = (Properties, Vec<u8>, End);

pub(super) async fn published(play: Play) -> Result<Finding, Error> {
    let plan = Plan { failpoints: WINDOW.to_owned(), ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    let mut set = Set::begin(&mut stage).await?;
    stage.harmed();
    set.publish(&mut stage, "of every type in every header", headers()).await?;
    set.publish(&mut stage, "whose properties are out of bounds", properties()).await?;
    set.publish(&mut stage, "whose bodies are no args", bodies()).await?;
    let wide = (named(), malformed::wide(), End::Done);
    set.publish(&mut stage, "with a million keys", vec![wide]).await?;
    set.unroutable(&mut stage).await?;
    stage.healed();

    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.wrong.extend(set.not_over(&stage).await?);
    finding.wrong.extend(set.differing(&mut stage).await?);
    finding.wrong.extend(panicked(&mut stage)?);
    finding.wrong.extend(set.costly());
    finding.notes.append(&mut set.notes);
    Ok(finding)
}

/// What was published, and what it cost.
struct Set {
    sender: Sender,
    sent: Vec<Sent>,
    /// For how many seconds the workers have been computing, and how many messages and good tasks they had.
    cost: f64,
    handled: usize,
    notes: Vec<String>,
}

impl Set {
    async fn begin(stage: &mut Stage) -> Result<Self, Error> {
        let sender = Sender::connect(stage).await?;
        Ok(Self { sender, sent: Vec::new(), cost: 0.0, handled: 0, notes: Vec::new() })
    }

    /// Publishes messages, and waits until a good task that comes after them runs.
    async fn publish(
        &mut self,
        stage: &mut Stage,
        what: &str,
        messages: Vec<Message>,
    ) -> Result<(), Error> {
        let count = messages.len();
        stage.say(format!("publishes {count} messages {what}"));
        let (before, ran) = (cost(stage)?, stage.fleet.journal.read()?.len());
        for (properties, body, end) in messages {
            let id = TaskId::mint();
            let is_named = !properties.has("message_id");
            let properties =
                if is_named { properties.text("message_id", id.to_string()) } else { properties };
            self.sender.send(&properties, &body).await?;
            self.promise(stage, id, is_named, body, end);
        }
        let behind = stage.put(KIND).await?;
        runs_within(stage, behind, PATIENCE).await?;
        let cost = cost(stage)? - before;
        // Letters of the set are no runs, so this is rather too few.
        let runs = stage.fleet.journal.read()?.len() - ran;
        let handled = runs.max(count);
        self.cost += cost;
        self.handled += handled;
        let each = 1_000.0 * cost / handled as f64;
        self.notes
            .push(format!("{count} messages {what}: {handled} runs and letters at {each:.1} ms"));
        Ok(())
    }

    /// Publishes what is routed nowhere, because its routing key is no text.
    async fn unroutable(&mut self, stage: &mut Stage) -> Result<(), Error> {
        let (id, body) = (TaskId::mint(), b"\"nowhere\"".to_vec());
        let properties = named().text("message_id", id.to_string());
        self.sender.send_to("enqueue", b"ma\xffil", &properties, &body).await?;
        self.promise(stage, id, true, body, End::Dead("unroutable", String::new()));
        Ok(())
    }

    /// Writes down what the broker has confirmed.
    fn promise(&mut self, stage: &Stage, id: TaskId, is_named: bool, body: Vec<u8>, end: End) {
        let mut books = stage.fleet.books.open();
        books.expect_any_first_attempt(id);
        match &end {
            End::Done => books.accept(id, KIND, Fleet::now()),
            // Which of them it has to be is looked at in its letter.
            End::Dead(..) | End::Either if is_named => {
                books.accept(id, MALFORMED, Fleet::now());
                books.expect(id, Ending::Either);
            }
            // The letter has a name that nobody knows yet, or it may expire by its own word.
            End::Dead(..) | End::Either | End::Over => books.leave_unknown(id),
        }
        self.sent.push(Sent { id, body, end });
    }

    /// Tells of which messages that may expire nothing is known to be over.
    async fn not_over(&self, stage: &Stage) -> Result<Vec<String>, Error> {
        let (mut wrong, letters) = (Vec::new(), stage.fleet.door.letters().await?);
        let may_expire = self.sent.iter().filter(|sent| sent.end == End::Over);
        for sent in may_expire.filter(|sent| !letters.contains_key(&sent.id)) {
            let known = stage.fleet.door.task(sent.id).await?.unwrap_or_default();
            let state = known["state"].as_str().unwrap_or("unknown");
            if !["done", "dead", "expired"].contains(&state) {
                wrong.push(format!("{} with an expiry is {state}", sent.id));
            }
        }
        Ok(wrong)
    }

    /// Tells which messages did not end as they had to, and whether one was handed out more than once.
    async fn differing(&self, stage: &mut Stage) -> Result<Vec<String>, Error> {
        let mut wrong = Vec::new();
        let letters = letters::rest(stage).await?;
        let mut by_body: BTreeMap<&[u8], Vec<&letters::Letter>> = BTreeMap::new();
        for letter in &letters {
            by_body.entry(&letter.body).or_default().push(letter);
        }
        let history = stage.fleet.journal.read()?;
        for Sent { id, body, end } in &self.sent {
            let begun = String::from_utf8_lossy(&body[..body.len().min(40)]);
            match end {
                End::Done if history.of(*id).len() != 1 => {
                    wrong.push(format!("{id} ran {} times: {begun}", history.of(*id).len()));
                }
                End::Dead(reason, why) => {
                    let found = by_body.get(body.as_slice()).map_or(&[][..], Vec::as_slice);
                    let is_it = |letter: &&&letters::Letter| {
                        letter.text(header::REASON) == *reason
                            && letter.text(header::ERROR).contains(why.as_str())
                    };
                    let kept = found.iter().filter(is_it).count();
                    if kept != 1 {
                        wrong.push(format!("{kept} letters {reason} ({why}) keep {begun}"));
                    }
                }
                End::Done | End::Either | End::Over => {}
            }
        }
        let reasons = letters.iter().filter(|letter| letter.text(header::REASON).is_empty());
        wrong.extend(reasons.map(|letter| format!("a letter has no reason: {letter:?}")));
        let refused =
            letters.iter().filter(|letter| letter.text(header::REASON) == MALFORMED).count();
        let handed = counted_by(stage.workers(), PARKS, "cause=\"malformed\"").await?;
        if handed != refused as u64 {
            wrong.push(format!("{refused} malformed messages were sorted {handed} times"));
        }
        Ok(wrong)
    }

    fn costly(&self) -> Option<String> {
        let each = self.cost / self.handled as f64;
        (each > COST.as_secs_f64()).then(|| format!("a message costs {:.1} ms", 1_000.0 * each))
    }
}

/// Returns for how many seconds the workers have been computing.
fn cost(stage: &mut Stage) -> Result<f64, Error> {
    let mut whole = Duration::ZERO;
    for worker in stage.workers().iter() {
        whole += computed(worker.pid())?;
    }
    Ok(whole.as_secs_f64())
}

fn named() -> Properties {
    Properties::default().text("type", KIND)
}

fn headers() -> Vec<Message> {
    let mut messages = Vec::new();
    for (name, value) in malformed::every_type_in_every_header() {
        let ends_by_itself = name != header::NOT_BEFORE || !is_far(&value);
        if ends_by_itself {
            let end = if name == header::EXPIRES_AT { End::Over } else { End::Either };
            messages.push((named().headers(&[entry(name, &value)]), b"{}".to_vec(), end));
        }
    }
    messages
}

/// Whether a value, read as an instant, is one that nobody lives to see.
fn is_far(value: &[u8]) -> bool {
    matches!(value, [b'l', 0x7f, 0xff, ..] | [b'T', 0xff, ..])
}

fn properties() -> Vec<Message> {
    let (run, dead) = malformed::out_of_bounds(&named());
    let unreadable = malformed::unreadable(&named()).into_iter();
    let dead = dead.into_iter().map(|properties| (properties, String::new())).chain(unreadable);
    let dead = dead.map(|(properties, why)| (properties, End::Dead(MALFORMED, why)));
    let run = run.into_iter().map(|properties| (properties, End::Done));
    // Each has a body of its own, by which its letter is known where its id could not be read.
    let numbered = run.chain(dead).enumerate();
    numbered.map(|(at, (properties, end))| (properties, format!("[{at}]").into(), end)).collect()
}

fn bodies() -> Vec<Message> {
    let dead = || End::Dead(MALFORMED, "the body is ".to_owned());
    malformed::bodies().into_iter().map(|body| (named(), body, dead())).collect()
}

/// Tells which workers have panicked.
fn panicked(stage: &mut Stage) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for worker in stage.workers().iter() {
        let log = std::fs::read_to_string(worker.log()).map_err(while_doing("read a log"))?;
        let line = log.lines().find(|line| line.contains("panicked"));
        wrong.extend(line.map(|line| format!("worker {} says {line:?}", worker.pid())));
    }
    Ok(wrong)
}
