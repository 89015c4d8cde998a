//! From a row to a request: the same fields, read by the same code as the body of `POST /v1/tasks`.

use leveret_producer::{Problem, Problems, Request, Submission};
use serde_json::Value;

use super::source::Row;

impl Row {
    /// Reads the row as a request under the row's own id, made when the row was written.
    ///
    /// # Errors
    /// Everything that is wrong with the row, as far as no setting decides that.
    pub(super) fn request(&self) -> Result<Request, Problems> {
        if let Some(why) = &self.defect {
            return Err(Problems(vec![Problem::new("row", why.clone())]));
        }
        let Some(fields) = inside(&self.options) else {
            let why = "they are no JSON object; write one, such as {\"queue\": \"mail\"}";
            return Err(Problems(vec![Problem::new("options", why)]));
        };
        let kind = Value::from(self.kind.as_str());
        let comma = if fields.trim().is_empty() { "" } else { "," };
        let json = format!("{{\"kind\":{kind},\"args\":{}{comma}{fields}}}", self.args);
        // Both parts are JSON for themselves, or this would read what neither of them says.
        let read = match serde_json::from_str::<serde::de::IgnoredAny>(&self.args) {
            Ok(_) => Submission::read(json.as_bytes(), None),
            Err(error) => Err(format!("they are not JSON: {error}")),
        };
        let Submission { request, mut problems } =
            read.map_err(|why| Problems(vec![Problem::new("args", why)]))?;
        for problem in request.clone().problems() {
            if !problems.iter().any(|told| told.field == problem.field) {
                problems.push(problem);
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let request = if request.is_named() { request } else { request.id(self.id.clone()) };
        Ok(request.made(self.age))
    }
}

/// Returns the members of a JSON object, as they are written.
fn inside(object: &str) -> Option<&str> {
    serde_json::from_str::<serde_json::Map<String, Value>>(object).ok()?;
    object.trim().strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ID: &str = "0192f0c0-0000-7000-8000-000000000001";

    fn row(kind: &str, args: &str, options: &str) -> Row {
        let (id, kind) = (ID.to_owned(), kind.to_owned());
        let (args, options) = (args.to_owned(), options.to_owned());
        Row {
            seq: 1,
            id,
            kind,
            args,
            options,
            age: Duration::from_secs(60),
            tries: 0,
            defect: None,
        }
    }

    fn problems(kind: &str, args: &str, options: &str) -> String {
        row(kind, args, options).request().unwrap_err().to_string()
    }

    #[test]
    fn a_row_is_the_task_of_its_id_unless_it_names_itself() {
        let request = |options| row("a.b", "{\"n\":1}", options).request().unwrap();
        assert_eq!(request("{}"), Request::from_json("a.b", "{\"n\":1}").id(ID));
        assert_eq!(request(" { \"id\": null } ").given_id(), Some(ID));
        assert_eq!(request("{\"id\": \"order-7\"}").given_id(), Some("order-7"));
        assert_eq!(request("{\"key\": \"k\", \"queue\": \"mail\"}").given_id(), None);
    }

    #[test]
    fn delay_and_expiry_count_from_when_the_row_was_written() {
        let request = |options| row("a", "null", options).request().unwrap();
        let expected = |delay, expires| {
            let request = Request::from_json("a", "null").id(ID);
            request.delay(Duration::from_secs(delay)).expires(Duration::from_millis(expires))
        };
        assert_eq!(request("{\"delay\":\"90s\",\"expires\":\"2m\"}"), expected(30, 60_000));
        let at = request("{\"at\":\"2100-01-01T00:00:00Z\",\"expires\":\"100d\"}");
        let instant = leveret_common::clock::Millis(4_102_444_800_000);
        let left = Duration::from_secs(100 * 86_400 - 60);
        assert_eq!(at, Request::from_json("a", "null").id(ID).at(instant).expires(left));
        // What was over before it was handed on ends as expired, and is told so.
        assert_eq!(request("{\"delay\":\"1s\",\"expires\":\"20s\"}"), expected(0, 1));
    }

    #[test]
    fn all_that_is_wrong_is_told_in_the_words_of_the_http_door() {
        let told = problems("no kind", "1", "{\"dely\":\"1s\",\"timeout\":5,\"expires\":\"0s\"}");
        for text in
            ["kind: kind \"no kind\"", "did you mean \"delay\"?", "write 5s", "would expire"]
        {
            assert!(told.contains(text), "{text} is missing: {told}");
        }
        assert!(problems("a", "1", "{\"kind\":\"b\"}").contains("it stands there twice"));
        // It would expire before it is due, however old the row is.
        assert!(
            problems("a", "1", "{\"delay\":\"9s\",\"expires\":\"5s\"}").contains("would expire")
        );
    }

    #[test]
    fn what_is_no_json_cannot_reach_into_the_other_fields() {
        assert!(problems("a", "1", "[]").starts_with("options: they are no JSON object"));
        assert!(problems("a", "1", "{").starts_with("options: they are no JSON object"));
        assert!(problems("a", "1,\"id\":\"x\"", "{}").starts_with("args: they are not JSON"));
        assert!(problems("a", "", "{}").starts_with("args: they are not JSON"));
    }
}
