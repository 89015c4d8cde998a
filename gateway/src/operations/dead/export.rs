//! Dead letters carried out: each is read from its queue and stays there.

use async_trait::async_trait;
use leveret_common::clock::Millis;
use leveret_common::desk::walk::Terms;
use leveret_common::desk::{Plan, Verdict, Walked};
use leveret_common::envelope::Wire;
use leveret_common::filter::Filter;
use leveret_common::name::QueueName;
use leveret_common::store::Letter;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::{OperationError, Operations};
use super::subject;

/// A letter as it is carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// Whose dead letters it is among.
    pub queue: QueueName,
    /// The message.
    pub wire: Wire,
}

impl Operations {
    /// Reads every letter that matches and hands it to `out`; the letters stay. Returns how many
    /// there were.
    ///
    /// # Errors
    /// When broker or store fail, or somebody else walks one of the queues: what was handed out
    /// is then not all.
    ///
    /// # Cancel safety
    /// As [`Operations::walk`]: better cancel `stop`.
    pub async fn export_letters(
        &self,
        filter: &Filter,
        out: &mpsc::Sender<Exported>,
        stop: &CancellationToken,
    ) -> Result<u64, OperationError> {
        let mut exported = 0;
        for queue in self.queues_to_walk(filter).await? {
            let now = self.now();
            let mut plan = Export { filter, queue: &queue, now, in_hand: Vec::new(), out, sent: 0 };
            let terms = Terms { by: String::new(), rate: None, stop: stop.clone() };
            let walked = self.shared.desk.walk(&queue, &mut plan, &terms).await;
            exported += plan.sent;
            walked?;
            if stop.is_cancelled() || out.is_closed() {
                return Err(OperationError::Stopped);
            }
        }
        Ok(exported)
    }
}

struct Export<'a> {
    filter: &'a Filter,
    queue: &'a QueueName,
    now: Millis,
    /// Of the handful at hand.
    in_hand: Vec<Wire>,
    out: &'a mpsc::Sender<Exported>,
    sent: u64,
}

#[async_trait]
impl Plan for Export<'_> {
    fn decide(&mut self, letter: &Letter, wire: &Wire) -> Verdict {
        if self.filter.matches(&subject(letter, self.now)) {
            let mut wire = wire.clone();
            wire.drop_foreign();
            self.in_hand.push(wire);
        }
        Verdict::Keep
    }

    fn is_over(&self) -> bool {
        self.out.is_closed()
    }

    async fn walked(&mut self, _: &Walked) {
        for wire in self.in_hand.drain(..) {
            if self.out.send(Exported { queue: self.queue.clone(), wire }).await.is_err() {
                return;
            }
            self.sent += 1;
        }
    }
}
