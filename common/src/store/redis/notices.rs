//! Tells Celery clients what became of their tasks, where and as Celery's own Redis backend does.
//!
//! A client that waits has subscribed to the channel `celery-task-meta-<id>` and reads the key of
//! the same name. The key is written in whole and ends by itself; nothing of Leveret reads it.
//! Who waits in another way than a Celery client is not known here, and not told.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use deadpool_redis::redis::{Pipeline, Value};
use serde::Serialize;
use serde_json::value::RawValue;

use super::fault::{Endpoint, Fault};
use super::keys::ttl_ms;
use super::link::Link;
use super::{MAX_PIPELINE, Redis, way};
use crate::clock::Millis;
use crate::envelope::CELERY_REPLY;
use crate::ledger::Failure;
use crate::spawn::Spawner;
use crate::store::{News, Notice, StoreError};

const WRITE: &str = "write results for Celery clients";
/// What the keys and channels of Celery's Redis backend begin with.
const PREFIX: &str = "celery-task-meta-";

/// Where the results of tasks go that Celery clients sent.
#[derive(Clone, Default)]
pub enum CeleryResults {
    /// Into the store's own database.
    #[default]
    Store,
    /// Into the database of this URL.
    At(String),
    /// Nowhere.
    Off,
}

impl std::fmt::Debug for CeleryResults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.write_str(match self {
            Self::Store => "Store",
            Self::At(_) => "At(…)",
            Self::Off => "Off",
        })
    }
}

/// The way there.
#[derive(Debug)]
pub(super) struct Notices(Option<(Arc<Link>, Endpoint)>);

impl Notices {
    /// Finds the way; a server that is not there yet is no failure.
    pub(super) fn open(
        results: CeleryResults,
        store: (&Arc<Link>, &Endpoint),
        spawner: &Spawner,
    ) -> Result<Self, StoreError> {
        let (link, endpoint) = store;
        Ok(Self(match results {
            CeleryResults::Off => None,
            CeleryResults::Store => Some((Arc::clone(link), endpoint.clone())),
            CeleryResults::At(url) => {
                let (way, endpoint) = way::read(&url, "celery.results_url")?;
                let link = Link::open_later(way, endpoint.clone(), link.patience(), spawner);
                Some((link, endpoint))
            }
        }))
    }
}

impl Redis {
    pub(super) async fn tell(&self, batch: &[Notice]) -> Result<(), StoreError> {
        let Notices(Some((link, endpoint))) = &self.notices else { return Ok(()) };
        for batch in batch.chunks(MAX_PIPELINE / 2) {
            let mut writes = Pipeline::with_capacity(batch.len() * 2);
            for notice in batch {
                let Some(id) = notice.to.strip_prefix(CELERY_REPLY) else { continue };
                let (key, meta) = (format!("{PREFIX}{id}"), meta(id, notice));
                let ttl = notice.ttl.unwrap_or(self.retention.result);
                writes.cmd("SET").arg(&key).arg(&meta).arg("PX").arg(ttl_ms(ttl));
                if matches!(notice.news, News::Retrying(_)) {
                    // Who was paused meanwhile must not take a result back that another has told.
                    writes.arg("NX");
                }
                writes.cmd("PUBLISH").arg(&key).arg(&meta);
            }
            for reply in link.run(WRITE, &writes).await? {
                reply
                    .map(drop::<Value>)
                    .map_err(|error| endpoint.error(WRITE, Fault::on(PREFIX, error)))?;
            }
        }
        Ok(())
    }
}

/// What Celery's `backend.store_result` writes.
#[derive(Serialize)]
struct Meta<'a> {
    status: &'static str,
    result: Box<RawValue>,
    traceback: Option<&'a str>,
    children: [&'a str; 0],
    date_done: Option<String>,
    task_id: &'a str,
}

/// An exception as Celery's client raises it.
#[derive(Serialize)]
struct Exception<'a> {
    exc_type: &'a str,
    exc_message: [&'a str; 1],
    exc_module: Option<&'a str>,
}

fn meta(id: &str, notice: &Notice) -> String {
    let revoked = |why| raised("TaskRevokedError", why, true);
    let (status, result) = match &notice.news {
        News::Done(result) => ("SUCCESS", result.as_deref().and_then(raw).unwrap_or_default()),
        News::Retrying(failure) => ("RETRY", failed(failure)),
        News::Dead(failure) => ("FAILURE", failed(failure)),
        News::Cancelled => ("REVOKED", revoked("cancelled")),
        News::Expired => ("REVOKED", revoked("expired")),
    };
    let is_over = !matches!(notice.news, News::Retrying(_));
    let meta = Meta {
        status,
        result,
        traceback: None,
        children: [],
        date_done: is_over.then(|| iso(notice.at)).flatten(),
        task_id: id,
    };
    serde_json::to_string(&meta).unwrap_or_default()
}

fn failed(failure: &Failure) -> Box<RawValue> {
    match failure.class.as_str() {
        // The one class that Celery's own workers have, too.
        "timeout" => raised("TimeLimitExceeded", &failure.message, true),
        class => raised(class, &failure.message, false),
    }
}

/// Without a module, the client makes an exception class of that name.
fn raised(exc_type: &str, message: &str, is_of_celery: bool) -> Box<RawValue> {
    let exc_module = is_of_celery.then_some("celery.exceptions");
    let exception = Exception { exc_type, exc_message: [message], exc_module };
    serde_json::value::to_raw_value(&exception).unwrap_or_default()
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    serde_json::from_str(json).ok()
}

fn iso(at: Millis) -> Option<String> {
    let at = DateTime::from_timestamp_millis(i64::try_from(at.0).ok()?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Micros, false))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn said(news: News) -> Json {
        let notice =
            Notice { to: "celery:x".to_owned(), at: Millis(1_790_000_000_123), news, ttl: None };
        serde_json::from_str(&meta("x", &notice)).unwrap()
    }

    #[test]
    fn a_result_is_written_as_celery_writes_it_and_its_numbers_are_kept() {
        let result = "{\"n\": 12345678901234567890123}".to_owned();
        let notice =
            Notice { to: String::new(), at: Millis(0), news: News::Done(Some(result)), ttl: None };
        let text = meta("x", &notice);
        assert!(text.contains("\"result\":{\"n\": 12345678901234567890123}"), "{text}");
        assert_eq!(
            said(News::Done(None)),
            json!({"status": "SUCCESS", "result": null, "traceback": null, "children": [],
                "date_done": "2026-09-21T14:13:20.123000+00:00", "task_id": "x"})
        );
    }

    #[test]
    fn a_failure_is_an_exception_named_by_its_class() {
        let failure = |class: &str| Failure {
            class: class.to_owned(),
            message: "no route".to_owned(),
            at: Millis(1),
        };
        let exception = |exc_type: &str, module: Json| json!({"exc_type": exc_type, "exc_message": ["no route"], "exc_module": module});
        let dead = said(News::Dead(failure("smtp")));
        assert_eq!(dead["status"], "FAILURE");
        assert_eq!(dead["result"], exception("smtp", Json::Null));
        let timeout = said(News::Dead(failure("timeout")))["result"].take();
        assert_eq!(timeout, exception("TimeLimitExceeded", json!("celery.exceptions")));
        let retry = said(News::Retrying(failure("smtp")));
        assert_eq!((&retry["status"], &retry["date_done"]), (&json!("RETRY"), &Json::Null));
        assert_eq!(said(News::Cancelled)["status"], "REVOKED");
        assert_eq!(said(News::Expired)["result"]["exc_message"], json!(["expired"]));
    }

    #[test]
    fn nothing_that_is_printed_holds_the_password() {
        let results = CeleryResults::At("redis://:s3cret@db.example/1".to_owned());
        assert!(!format!("{results:?}").contains("s3cret"));
    }
}
