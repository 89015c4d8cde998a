//! Edit-then-replay: an edited copy is a new task that names the dead one it replaces.

use bytes::Bytes;
use leveret_common::clock::Millis;
use leveret_common::desk::letter;
use leveret_common::desk::walk::Replacement;
use leveret_common::envelope::{Wire, header};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, KindName, Lane, QueueName};
use leveret_common::store::{Enqueued, Letter};
use leveret_producer::Request;
use uuid::Uuid;

use super::super::{OperationError, Operations, stored};

/// What is changed as a letter's task starts anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// It goes to this queue.
    pub queue: Option<QueueName>,
    /// It goes in this class.
    pub class: Option<Class>,
    /// These args are performed instead, by a new task: JSON.
    pub args: Option<Bytes>,
    /// Even where the task went on without the letter, and ended.
    pub force: bool,
}

/// Headers that belong to the dead task alone: its key, its sender's id, its count of replays, what
/// its own dialect said, and what of it could not be read.
const OF_THE_DEAD: [&str; 5] =
    [header::KEY, header::ORIGIN_ID, header::REPLAY, header::FOREIGN, header::UNREADABLE];

impl Operations {
    /// Checks edited args as those of an enqueue.
    pub(super) fn check_edit(&self, edit: &Edit) -> Result<(), OperationError> {
        let Some(args) = &edit.args else { return Ok(()) };
        // Only the args are looked at: any kind does.
        Ok(self.shared.producer.check(Request::from_json("edited", args.clone()))?)
    }

    /// Records the copy as accepted, so that it can be asked for. Best effort.
    pub(super) async fn note_copy(&self, id: TaskId, dead: &Letter, lane: Lane, args: &Bytes) {
        if !self.shared.producer.options().record {
            return;
        }
        let Ok(kind) = dead.kind.parse() else { return };
        let records = [Enqueued {
            id,
            kind,
            lane,
            at: self.now(),
            not_before: None,
            key: None,
            origin_id: None,
            tags: dead.tags.clone(),
            occasion: None,
            args_fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_OID, args),
        }];
        let noted = self.backend().records.enqueued(&records);
        if let Err(error) = stored("record the edited copy", noted).await {
            tracing::warn!(task = %id, %error, "failed to record an edited copy");
        }
    }
}

/// Makes the edited copy of a letter's task.
pub(super) fn copy(
    dead: &Letter,
    wire: &Wire,
    lane: Lane,
    args: &Bytes,
    now: Millis,
) -> Result<Replacement, OperationError> {
    if let Err(error) = dead.kind.parse::<KindName>() {
        let why = format!("the letter names no kind that a new task can have: {error}");
        return Err(OperationError::invalid("args", why));
    }
    let id = dead.id.edited(dead.order.replay, args);
    let mut wire = letter::replay(wire, lane.clone(), 0).wire;
    for name in OF_THE_DEAD {
        wire.headers.remove(name);
    }
    wire.headers.insert(header::REPLAY_OF.to_owned(), dead.id.to_string().into());
    wire.message_id = Some(id.to_string());
    wire.timestamp = Some(now.0 / 1_000);
    wire.content_type = Some("application/json".to_owned());
    wire.content_encoding = None;
    wire.body = args.clone();
    Ok(Replacement { id, lane, wire })
}
