//! A request as a sender writes it in JSON: the way back from [`super::submission`].
//!
//! For whoever hands a request to somebody else to be sent: an outbox, a file. Guards that what is
//! read from it is what was asked for: a request that JSON cannot say is refused.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use leveret_common::clock::Millis;
use leveret_common::duration;
use serde_json::{Map, Value};

use crate::error::{Problem, Problems};
use crate::request::{Args, Request};

/// A request as JSON, in the three parts in which an outbox keeps it. [`Submission::read`] reads it back,
/// once they are one object.
///
/// [`Submission::read`]: crate::Submission::read
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The kind.
    pub kind: String,
    /// The args, a JSON document.
    pub args: String,
    /// All other fields, a JSON object.
    pub options: String,
}

impl Written {
    /// Writes a request. Queue and class are those that its type names, where it does not say so
    /// itself.
    ///
    /// # Errors
    /// All that is wrong with the request, as far as no setting decides that.
    pub fn of(request: Request) -> Result<Self, Problems> {
        let mut problems = request.clone().problems();
        if request.result_ttl.is_some() {
            problems.push(Problem::new("result_ttl", "it has no field in JSON; leave it out"));
        }
        if request.occasion.is_some() {
            problems.push(Problem::new("schedule", "an occurrence has no fields in JSON"));
        }
        let request = request.in_lane(None);
        let options = options(&request, &mut problems);
        let args = match &request.args {
            Args::Written(json) | Args::Given(json) => String::from_utf8(json.to_vec()).ok(),
            Args::Failed(_) => None,
        };
        match (args, problems.is_empty()) {
            (Some(args), true) => Ok(Self { kind: request.kind, args, options }),
            _ => Err(Problems(problems)),
        }
    }
}

fn options(request: &Request, problems: &mut Vec<Problem>) -> String {
    let mut options = Map::new();
    let mut write = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let span = |span: &Option<Duration>| span.map(|span| Value::from(duration::format(span)));
    write("queue", text(&request.queue));
    write("class", request.class.map(|class| class.as_str().into()));
    write("delay", span(&request.delay));
    write("at", request.at.and_then(|at| instant(at, problems)).map(Value::from));
    write("key", text(&request.key));
    write("id", text(&request.id));
    write("expires", span(&request.expires));
    write("timeout", span(&request.timeout));
    write("max_attempts", request.max_attempts.map(Value::from));
    let tags = request.tags.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    write("tags", (!request.tags.is_empty()).then(|| Value::Object(tags.collect())));
    Value::Object(options).to_string()
}

/// Writes an instant as RFC 3339.
fn instant(at: Millis, problems: &mut Vec<Problem>) -> Option<String> {
    let last = "9999-12-31T23:59:59.999Z";
    let written = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    let written = written.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    if let Some(written) = written.filter(|text| text.len() == last.len()) {
        return Some(written);
    }
    problems.push(Problem::new("at", format!("it is after {last}, the last that can be written")));
    None
}

#[cfg(test)]
mod tests {
    use leveret_common::name::Class;

    use super::*;
    use crate::submission::Submission;

    /// All that a sender says beside the args.
    fn fields(of: &Request) -> impl PartialEq + std::fmt::Debug {
        let when = (of.delay, of.at, of.expires, of.timeout, of.max_attempts);
        let what = (of.kind.clone(), of.queue.clone(), of.class, of.key.clone(), of.id.clone());
        (when, what, of.tags.clone())
    }

    fn whole() -> Request {
        Request::new("email.welcome", &serde_json::json!({ "user_id": 7, "name": "\u{e9}\"" }))
            .queue("mail")
            .class(Class::High)
            .key("welcome-7")
            .expires(Duration::from_millis(86_400_001))
            .timeout(Duration::from_secs(30))
            .max_attempts(8)
            .tag("tenant", "42")
    }

    #[test]
    fn what_is_read_back_is_what_was_asked_for() {
        let later = whole().at(Millis(1_900_000_000_123));
        for request in [whole(), later, whole().delay(Duration::from_millis(90_500))] {
            let Written { kind, args, options } = Written::of(request.clone()).unwrap();
            let rest = options.strip_prefix('{').unwrap();
            let json = format!("{{\"kind\":\"{kind}\",\"args\":{args},{rest}");
            let Submission { request: read, problems } =
                Submission::read(json.as_bytes(), None).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(fields(&read), fields(&request));
            assert_eq!(read.args, Args::Given(args.into_bytes().into()));
        }
    }

    #[test]
    fn all_that_is_wrong_or_cannot_be_written_is_told_at_once() {
        let wrong =
            Request::from_json("no kind", "{").result_ttl(Duration::ZERO).at(Millis(u64::MAX));
        let Problems(problems) = Written::of(wrong).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["kind", "args", "result_ttl", "at"]);
    }
}
