//! Dead letters carried in: each is put among the dead letters of its queue and described.

use leveret_common::broker::PublishError;
use leveret_common::desk::letter;
use leveret_common::envelope::Wire;
use leveret_common::id::TaskId;
use leveret_common::name::QueueName;
use leveret_common::store::Letter;
use serde::Deserialize;

use super::super::{OperationError, Operations, moved, stored};

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// Whose dead letters it belongs to.
    pub queue: QueueName,
    /// The message.
    pub wire: Wire,
}

/// What a line holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A letter.
    Letter(Box<Imported>),
    /// What an export says at its end.
    End,
}

impl Line {
    /// Reads a line of an export.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] when it is no letter.
    pub fn read(json: &[u8]) -> Result<Self, OperationError> {
        if let Ok(Ending { .. }) = serde_json::from_slice(json) {
            return Ok(Self::End);
        }
        let letter: Imported = serde_json::from_slice(json).map_err(|error| {
            let why = format!("it is no line of an export, {{\"queue\": …, \"wire\": …}}: {error}");
            OperationError::invalid("line", why)
        })?;
        // Without a reason it would be taken for one that the broker moved here by itself, and be
        // sent back to its lane.
        if letter::reason(&letter.wire).is_none() {
            let why = "it has no header lv-reason that can be read, so it is no dead letter";
            return Err(OperationError::invalid("wire", why));
        }
        Ok(Self::Letter(Box::new(letter)))
    }
}

/// The last line of an export.
#[derive(Deserialize)]
struct Ending {
    #[allow(dead_code, reason = "that it is there is what is asked")]
    finished: bool,
}

impl Operations {
    /// Puts letters among the dead letters of their queues, confirmed, and describes them; answers
    /// for each in their order.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not be there; putting one there twice costs a place in the
    /// queue and no run.
    pub async fn import_letters(
        &self,
        letters: Vec<Imported>,
    ) -> Vec<Result<TaskId, OperationError>> {
        let now = self.now();
        let namespace = &self.backend().namespace;
        let mut batch = Vec::with_capacity(letters.len());
        let mut described: Vec<Letter> = Vec::with_capacity(letters.len());
        for Imported { queue, wire } in letters {
            let copy = letter::keep(&wire, &queue, now);
            described.push(letter::describe(namespace, &queue, &copy.wire, now, now));
            batch.push(copy);
        }
        let published =
            async { Ok::<_, PublishError>(self.backend().broker.publish(&batch).await) };
        let mut answers = match moved("put dead letters back", published).await {
            Ok(answers) => answers.into_iter(),
            Err(_) => Vec::new().into_iter(),
        };
        let mut told = Vec::with_capacity(described.len());
        let mut confirmed = Vec::with_capacity(described.len());
        for letter in described {
            told.push(match answers.next() {
                Some(Ok(())) => {
                    let id = letter.id;
                    confirmed.push(letter);
                    Ok(id)
                }
                Some(Err(error)) => Err(error.into()),
                None => Err(OperationError::Unconfirmed {
                    operation: "put a dead letter back",
                    why: format!("no answer within {:?}", super::super::BROKER_PATIENCE),
                }),
            });
        }
        let index = &self.backend().letters;
        if let Err(error) = stored("describe dead letters", index.describe(&confirmed)).await {
            tracing::warn!(%error, "the list of dead letters lags behind");
        }
        told
    }
}
