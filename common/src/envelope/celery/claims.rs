//! What a Celery message says beside its args, wherever its protocol keeps it.

use std::time::Duration;

use super::super::{HeaderValue, Headers, Undecodable, read};
use super::time;
use crate::clock::Millis;
use crate::id::MAX_FOREIGN;

/// Longest text of a time, and of the sender's name.
const MAX_TEXT: usize = 256;
/// Longest time limit of an attempt: that of a kind. What is longer is meant as none.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// What a message says beside its args.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claims {
    /// The task's name: the kind.
    pub(super) task: String,
    /// Its id as the client knows it.
    pub(super) id: String,
    /// How often it was tried before.
    pub(super) retries: u32,
    /// Not to be started before this.
    pub(super) eta: Option<String>,
    /// Not to be started after this.
    pub(super) expires: Option<String>,
    /// The hard and the soft time limit in seconds.
    pub(super) limits: [Option<f64>; 2],
    /// The id of the first task of its tree.
    pub(super) root: Option<String>,
    /// The id of the task that sent it.
    pub(super) parent: Option<String>,
    /// Who sent it.
    pub(super) origin: Option<String>,
    /// Nobody waits for its result.
    pub(super) ignore_result: bool,
}

/// The times of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Times {
    /// Not to be started before this.
    pub(super) eta: Option<Millis>,
    /// Not to be started after this.
    pub(super) expires: Option<Millis>,
    /// The limit of one attempt.
    pub(super) timeout: Option<Duration>,
}

impl Claims {
    /// Reads the headers of protocol 2.
    pub(super) fn of_headers(headers: &Headers) -> Result<Self, Undecodable> {
        let text = |name| read::text(headers, name, MAX_TEXT);
        let named = |name, most| match read::text(headers, name, most)? {
            Some(text) => Ok(text),
            None => Err(Undecodable::malformed(format!(
                "it has the header task of a Celery message, but no header {name}; send it with a \
                 Celery client, or as docs/protocol.md tells"
            ))),
        };
        let limit = |at: usize| match headers.get("timelimit") {
            Some(HeaderValue::List(limits)) => match limits.get(at) {
                #[allow(clippy::cast_precision_loss, reason = "seconds, far below 2^52")]
                Some(HeaderValue::Int(seconds)) => Some(*seconds as f64),
                Some(HeaderValue::Float(seconds)) => Some(*seconds),
                Some(HeaderValue::Single(seconds)) => Some(f64::from(*seconds)),
                _ => None,
            },
            _ => None,
        };
        Ok(Self {
            // Too long a name is refused as every other that is none.
            task: named("task", MAX_TEXT)?,
            id: named("id", MAX_FOREIGN)?,
            retries: read::bounded(headers, "retries", 0, u32::MAX)?.unwrap_or(0),
            eta: text("eta")?,
            expires: text("expires")?,
            limits: [limit(0), limit(1)],
            // Nothing depends on these three: one that cannot be read is left out.
            root: text("root_id").unwrap_or_default(),
            parent: text("parent_id").unwrap_or_default(),
            origin: text("origin").unwrap_or_default(),
            ignore_result: headers.get("ignore_result") == Some(&HeaderValue::Bool(true)),
        })
    }

    /// Reads who is asked for, of headers of which something else is wrong.
    pub(super) fn names(headers: &Headers) -> Self {
        let text = |name, most| read::text(headers, name, most).ok().flatten().unwrap_or_default();
        let (task, id) = (text("task", MAX_TEXT), text("id", MAX_FOREIGN));
        Self { task, id, ..Self::default() }
    }

    /// Reads the times.
    pub(super) fn times(&self) -> Result<Times, String> {
        let time = |name: &str, text: &Option<String>| {
            let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            time::read(text).map(Some).map_err(|mend| format!("{name} is {text:?}; {mend}"))
        };
        // The soft limit is the one a task can still answer to, as ours.
        let [hard, soft] = self.limits;
        let limit = soft.or(hard).filter(|seconds| *seconds > 0.0);
        Ok(Times {
            eta: time("eta", &self.eta)?,
            expires: time("expires", &self.expires)?,
            timeout: limit
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .map(|limit| whole_millis(limit.min(LONGEST))),
        })
    }
}

/// Rounds a limit up to what is written of it, so that each attempt has the same: less than a
/// millisecond would be none at all from the second one on.
fn whole_millis(limit: Duration) -> Duration {
    Duration::from_millis(u64::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_nobody_lives_to_see_is_one_of_thirty_days() {
        let timeout = |soft| {
            let claims = Claims { limits: [None, Some(soft)], ..Claims::default() };
            claims.times().unwrap().timeout
        };
        assert_eq!(timeout(1.5), Some(Duration::from_millis(1_500)));
        assert_eq!(timeout(1e18), Some(LONGEST));
        assert_eq!(timeout(18_446_744_073_709_549_568.0), Some(LONGEST));
        assert_eq!(timeout(0.0), None);
    }

    #[test]
    fn a_limit_is_the_same_for_every_attempt_because_it_is_what_can_be_written() {
        for (said, limit) in [(20.500_003_815, 20_501), (0.000_1, 1), (0.001, 1)] {
            let claims = Claims { limits: [None, Some(said)], ..Claims::default() };
            let timeout = claims.times().unwrap().timeout;
            assert_eq!(timeout, Some(Duration::from_millis(limit)), "{said}");
        }
    }
}
