//! Sends the lines of a file to the gateway, in requests that it takes, and tells what became of
//! each.
//!
//! A line that is refused does not stop the others. Where no answer comes, the command stops and
//! says which lines are answered for, because later ones may or may not have arrived; where the
//! file cannot be read on, it says so too. Memory does not grow with the file: one request is held
//! at a time.

pub(crate) mod input;
mod lines;
mod tally;

use std::collections::VecDeque;
use std::path::Path;

use serde_json::Value;

pub(crate) use self::lines::Limits;
use self::lines::{Chunk, Lines};
use self::tally::Tally;
use crate::client::{Client, Refusal};
use crate::error::Error;
use crate::exit::Exit;
use crate::report::{self, Format};

/// Where lines go, and what they are.
pub(crate) struct Feed {
    /// As "failed to …" goes on.
    pub(crate) operation: &'static str,
    /// The gateway's path.
    pub(crate) path: &'static str,
    /// What a line is, in the plural.
    pub(crate) noun: &'static str,
    /// How much of it at once.
    pub(crate) limits: Limits,
    /// Tells a line that only says that the file is whole; it is not sent.
    pub(crate) last: Option<fn(&[u8]) -> bool>,
}

impl Feed {
    /// Sends every line of `file`.
    ///
    /// # Cancel safety
    /// Dropped, lines may or may not have been accepted.
    pub(crate) async fn run(
        &self,
        file: &Path,
        client: &Client,
        format: Format,
    ) -> Result<(), Error> {
        let mut lines = Lines::open(file, self.limits, self.last).await?;
        let mut tally = Tally::new(self.noun, format);
        loop {
            let (source, rest) = match lines.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) => match self.send(chunk, &mut tally, client).await {
                    Ok(None) => continue,
                    Ok(Some(most)) => {
                        lines.limit(most);
                        continue;
                    }
                    Err(source) => (source, "may have arrived"),
                },
                // Nothing was sent: there is nothing to tell but why.
                Err(source) if tally.answered == 0 => return Err(source),
                Err(source) => (source, "were not sent"),
            };
            tally.finish()?;
            let answered = tally.answered;
            return Err(Error::Stopped { answered, rest, source: Box::new(source) });
        }
        tally.finish()?;
        if self.last.is_some() && !lines.is_whole() {
            report::narrate(
                "the line that ends an export is missing: the file may be cut off, or was put \
                 together by hand",
            );
        }
        tally.judge()
    }

    /// Sends a chunk, in several requests where the gateway takes less at once than it holds;
    /// returns how many lines it takes then.
    async fn send(
        &self,
        chunk: Chunk,
        tally: &mut Tally,
        client: &Client,
    ) -> Result<Option<usize>, Error> {
        let mut most = None;
        let mut waiting = VecDeque::from([chunk]);
        while let Some(mut chunk) = waiting.pop_front() {
            let count = chunk.numbers.len();
            let answers = match client.post_lines(self.operation, self.path, chunk.body()).await {
                Err(Error::Refused { refusal, .. }) if refusal.is_too_large() && count > 1 => {
                    most = Some(count / 2);
                    let rest = chunk.split_off(count / 2);
                    waiting.push_front(rest);
                    waiting.push_front(chunk);
                    continue;
                }
                answers => answers?,
            };
            let taken = taken(&answers, count);
            if taken < count {
                waiting.push_front(chunk.split_off(taken));
                // One large line at the end says nothing of how many it takes.
                most = if answers.len() < count { Some(taken) } else { most };
            }
            self.note(&chunk, answers, tally, client)?;
        }
        Ok(most)
    }

    fn note(
        &self,
        chunk: &Chunk,
        answers: Vec<Value>,
        tally: &mut Tally,
        client: &Client,
    ) -> Result<(), Error> {
        let mut unavailable: Option<Refusal> = None;
        let answered = answers.len().min(chunk.numbers.len());
        for (number, answer) in chunk.numbers.iter().zip(answers) {
            let refusal = tally.note(*number, answer)?;
            // The first one says where to go on, whatever is answered behind it.
            let refusal = refusal.filter(|refusal| refusal.exit() == Exit::Unreachable);
            unavailable = unavailable.or(refusal);
            if unavailable.is_none() {
                tally.answered = *number;
            }
        }
        if let Some(refusal) = unavailable {
            let operation = self.operation.into();
            return Err(Error::Refused { operation, refusal: Box::new(refusal) });
        }
        if answered < chunk.numbers.len() {
            let why = format!("{answered} of {} lines were answered", chunk.numbers.len());
            return Err(client.broken_off(self.operation, why, "the rest may have arrived"));
        }
        Ok(())
    }
}

/// Returns how many of `count` lines the gateway read. Where it takes fewer at once, the answer to
/// the first that is too many is that it is too large, and is the last; such a line is sent again.
fn taken(answers: &[Value], count: usize) -> usize {
    let is_too_large =
        |answer: &Value| Refusal::of_line(answer).is_some_and(|refusal| refusal.is_too_large());
    match answers.split_last() {
        Some((last, before)) if !before.is_empty() && is_too_large(last) => before.len().min(count),
        _ => count,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_behind_a_limit_of_the_gateway_are_sent_again() {
        let good = json!({ "line": 1, "id": "a" });
        let large = json!({ "line": 2, "error": { "type": "/problems/too-large", "status": 413 } });
        let bad =
            json!({ "line": 2, "error": { "type": "/problems/invalid-task", "status": 400 } });
        assert_eq!(taken(&[good.clone(), good.clone()], 2), 2);
        assert_eq!(taken(&[good.clone(), large.clone()], 9), 1);
        assert_eq!(taken(&[good.clone(), large.clone()], 2), 1);
        assert_eq!(taken(&[good.clone(), large.clone(), good.clone()], 3), 3);
        // By itself it is too large, however little is sent with it.
        assert_eq!(taken(&[large], 1), 1);
        // An answer that broke off says nothing of the lines behind.
        assert_eq!(taken(&[good.clone(), bad], 9), 9);
        assert_eq!(taken(&[good], 9), 9);
    }
}
