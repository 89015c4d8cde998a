//! The body of a Celery message, and the args document that becomes of it.
//!
//! Positional args alone are the list, keyword args alone the object, both `{"args": […], "kwargs":
//! {…}}`, none at all `{}`. Their bytes are kept as the client wrote them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::{Headers, Wire};
use super::claims::Claims;

/// What kombu's serializers other than JSON call themselves.
const SERIALIZERS: [(&str, &str); 4] = [
    ("application/x-python-serialize", "pickle"),
    ("application/x-yaml", "yaml"),
    ("application/x-msgpack", "msgpack"),
    ("application/data", "auth"),
];

/// The task that is asked for in the body of protocol 1.
pub(super) struct Protocol1 {
    pub(super) claims: Claims,
    pub(super) args: Bytes,
    /// Why it is refused all the same.
    pub(super) refused: Option<String>,
}

/// What a message asks for beside the one task.
#[derive(Deserialize, Default)]
struct Embed<'a> {
    #[serde(borrow, default)]
    callbacks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errbacks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chain: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chord: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    task: String,
    id: String,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kwargs: Option<&'a RawValue>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    eta: Option<String>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    timelimit: Option<[Option<f64>; 2]>,
    #[serde(borrow, default)]
    callbacks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errbacks: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chain: Option<&'a RawValue>,
    #[serde(borrow, default)]
    chord: Option<&'a RawValue>,
}

/// What every message of protocol 1 has.
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "task")]
    _task: IgnoredAny,
    #[serde(rename = "id")]
    _id: IgnoredAny,
    #[serde(rename = "args")]
    _args: IgnoredAny,
    #[serde(rename = "kwargs")]
    _kwargs: IgnoredAny,
}

fn serializer(wire: &Wire) -> Option<&'static str> {
    let said = wire.content_type.as_deref().unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default().trim();
    SERIALIZERS.iter().find(|(name, _)| media.eq_ignore_ascii_case(name)).map(|(_, short)| *short)
}

/// Tells whether a serializer of kombu's wrote the body that nobody else uses.
pub(super) fn is_of_kombu(wire: &Wire) -> bool {
    serializer(wire).is_some()
}

/// Tells whether the body looks like one of protocol 1.
pub(super) fn is_protocol_1(wire: &Wire) -> bool {
    serde_json::from_slice::<Marks>(&wire.body).is_ok()
}

/// Checks that the body is JSON as it stands, and returns it.
pub(super) fn plain(wire: &Wire, headers: &Headers) -> Result<Bytes, String> {
    let said = wire.content_type.as_deref().unwrap_or("application/json");
    let media = said.split(';').next().unwrap_or_default().trim();
    if !media.is_empty() && !media.eq_ignore_ascii_case("application/json") {
        let name = serializer(wire).unwrap_or("not JSON");
        return Err(format!(
            "the Celery message is {said} ({name}), which Leveret never reads: set task_serializer \
             = \"json\" in the Celery app, and send the task again"
        ));
    }
    let text = |name: &str| match headers.get(name) {
        Some(super::HeaderValue::Text(text)) => text.as_str(),
        _ => "",
    };
    if !text("compression").is_empty() {
        return Err(format!(
            "the Celery message is compressed ({}), which Leveret does not read: leave out \
             task_compression in the Celery app, and send the task again",
            text("compression")
        ));
    }
    let encoding = wire.content_encoding.as_deref().unwrap_or_default();
    if text("body_encoding") == "base64" || encoding == "base64" {
        let plain = BASE64_STANDARD.decode(&wire.body);
        return plain
            .map(Bytes::from)
            .map_err(|error| format!("the Celery message's body is no base64: {error}"));
    }
    if !matches!(encoding.to_ascii_lowercase().as_str(), "" | "utf-8" | "us-ascii" | "identity") {
        return Err(format!(
            "content_encoding of the Celery message is {encoding:?}; send the body as UTF-8"
        ));
    }
    Ok(wire.body.clone())
}

fn unreadable(protocol: u8, form: &str, error: &serde_json::Error) -> String {
    // Python writes NaN and Infinity as bare words, and takes that for JSON.
    format!(
        "the body is not the JSON of Celery's protocol {protocol}, {form}: {error}; NaN and \
         Infinity are no JSON"
    )
}

/// Reads the body of protocol 2: the args document.
pub(super) fn protocol_2(body: &[u8]) -> Result<Bytes, String> {
    let (args, kwargs, embed): (&RawValue, &RawValue, Embed<'_>) = serde_json::from_slice(body)
        .map_err(|error| unreadable(2, "[args, kwargs, embed]", &error))?;
    refuse_canvas(&embed)?;
    document(args.get(), kwargs.get())
}

/// Reads the body of protocol 1.
pub(super) fn protocol_1(body: &[u8]) -> Result<Protocol1, String> {
    let fields: Fields<'_> = serde_json::from_slice(body)
        .map_err(|error| unreadable(1, "{\"task\": …, \"id\": …, \"args\": …, …}", &error))?;
    let Fields { args, kwargs, callbacks, errbacks, chain, chord, .. } = fields;
    let embed = Embed { callbacks, errbacks, chain, chord };
    let args = args.map_or("[]", RawValue::get);
    let read =
        refuse_canvas(&embed).and_then(|()| document(args, kwargs.map_or("{}", RawValue::get)));
    let claims = Claims {
        task: fields.task,
        id: fields.id,
        retries: fields.retries.unwrap_or(0),
        eta: fields.eta,
        expires: fields.expires,
        limits: fields.timelimit.unwrap_or_default(),
        ..Claims::default()
    };
    Ok(match read {
        Ok(args) => Protocol1 { claims, args, refused: None },
        Err(why) => Protocol1 { claims, args: Bytes::new(), refused: Some(why) },
    })
}

/// A part of a canvas: performed without what was to follow, it would be half of what was asked.
fn refuse_canvas(embed: &Embed<'_>) -> Result<(), String> {
    let parts = [
        ("a link (callbacks)", embed.callbacks),
        ("a link_error (errbacks)", embed.errbacks),
        ("a chain", embed.chain),
        ("a chord", embed.chord),
    ];
    let asked: Vec<&str> = parts
        .into_iter()
        .filter(|(_, raw)| raw.is_some_and(|raw| !matches!(raw.get().trim(), "null" | "[]" | "{}")))
        .map(|(name, _)| name)
        .collect();
    if asked.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the Celery message asks for {}, and nothing of it was performed: Leveret performs single \
         tasks and groups of them. Let the handler enqueue what follows, or keep this canvas with a \
         Celery worker; replayed with args of its own, the task runs alone",
        asked.join(" and ")
    ))
}

/// Makes the args document of positional and keyword args.
fn document(args: &str, kwargs: &str) -> Result<Bytes, String> {
    let (args, kwargs) = (args.trim(), kwargs.trim());
    let inside = |text: &str, open: char, close: char| {
        let text = text.strip_prefix(open)?.strip_suffix(close)?;
        Some(text.trim().is_empty())
    };
    let wrong = |what: &str| format!("the Celery message's {what}");
    let no_args = inside(args, '[', ']').ok_or_else(|| wrong("args are no list"))?;
    let no_kwargs = inside(kwargs, '{', '}').ok_or_else(|| wrong("kwargs are no object"))?;
    Ok(match (no_args, no_kwargs) {
        (true, _) => Bytes::from(kwargs.to_owned()),
        (false, true) => Bytes::from(args.to_owned()),
        (false, false) => Bytes::from(format!("{{\"args\":{args},\"kwargs\":{kwargs}}}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str, kwargs: &str) -> String {
        let body = format!("[{args}, {kwargs}, {{\"callbacks\": null, \"chain\": []}}]");
        match protocol_2(body.as_bytes()) {
            Ok(document) => String::from_utf8(document.to_vec()).unwrap(),
            Err(why) => why,
        }
    }

    #[test]
    fn args_and_kwargs_become_one_document_and_keep_their_bytes() {
        for (args, kwargs, document) in [
            ("[]", "{}", "{}"),
            ("[ ]", "{ }", "{ }"),
            ("[2, 1.50]", "{}", "[2, 1.50]"),
            ("[[ ]]", "{}", "[[ ]]"),
            ("[]", "{\"x\":  2}", "{\"x\":  2}"),
            ("[2]", "{\"y\": 3}", "{\"args\":[2],\"kwargs\":{\"y\": 3}}"),
            ("[{\"a\": \"]\"}]", "{}", "[{\"a\": \"]\"}]"),
        ] {
            assert_eq!(read(args, kwargs), document);
            assert!(serde_json::from_str::<IgnoredAny>(document).is_ok());
        }
    }

    #[test]
    fn what_is_no_list_and_no_object_is_told() {
        assert!(read("{}", "{}").contains("args are no list"));
        assert!(read("[1]", "[]").contains("kwargs are no object"));
        assert!(read("[NaN]", "{}").contains("NaN and Infinity are no JSON"));
        assert!(protocol_2(b"[[], {}]").unwrap_err().contains("protocol 2"));
    }
}
