//! `http` kinds: real requests to real listeners, from a worker that runs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::broker::{Destination, Publish};
use leveret_common::clock::{Millis, SystemClock};
use leveret_common::envelope::{DeadReason, Envelope};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{TaskState, TaskView};
use leveret_common::testkit::eventually;
use leveret_worker::handler::MAX_RESULT;
use leveret_worker::handler::push::{Endpoint, EndpointError, Lookup, Pusher};
use serde_json::json;

use crate::place::{DEADLINE, Place, config, kind};
use crate::receiver::{Receiver, says, says_with};

fn endpoint(url: String) -> Endpoint {
    Endpoint { url, ..Endpoint::default() }
}

fn pusher() -> Pusher {
    Pusher::new(Arc::new(SystemClock))
}

/// Answers the nth question about any name with the nth list, and from the last one on with that.
struct Names(Mutex<Vec<Vec<IpAddr>>>);

impl Names {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let list = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().rev().map(list).collect())))
    }
}

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        match answers.as_slice() {
            [last] => Ok(last.clone()),
            _ => Ok(answers.pop().unwrap()),
        }
    }
}

/// Never answers.
struct Silence;

#[async_trait]
impl Lookup for Silence {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

/// Performs one task of a kind that pushes there, with at most two attempts.
async fn push_by(pusher: &Pusher, endpoint: Endpoint, timeout: Duration) -> TaskView {
    let place = Place::embedded();
    let handler = pusher.handler(endpoint).unwrap();
    let _worker = place.work(vec![kind("order.paid", handler)], config()).await;
    let task = place.producer.task("order.paid", &json!({"order": 7}));
    let id = task.timeout(timeout).max_attempts(2).await.unwrap().id;
    place.wait(id).await
}

async fn push_to(url: String) -> TaskView {
    push_by(&pusher(), endpoint(url), Duration::from_secs(20)).await
}

fn failure(view: &TaskView) -> (&str, &str) {
    let failure = view.history[0].failure.as_ref().unwrap();
    (&failure.class, &failure.message)
}

#[tokio::test]
async fn args_are_posted_as_they_are_and_the_answer_is_the_result() {
    let receiver = Receiver::content("{\"receipt\": 12}").await;
    let place = Place::embedded();
    let pusher = pusher();
    let headers = vec![("authorization".to_owned(), "Bearer abc".to_owned())];
    let endpoint = Endpoint { headers, ..endpoint(receiver.url("/hooks/paid?shop=1")) };
    let handler = pusher.handler(endpoint).unwrap();
    let _worker = place.work(vec![kind("order.paid", handler)], config()).await;
    let id = TaskId::mint();
    let mut envelope = Envelope::new(id, "order.paid".parse().unwrap(), "{ \"order\":7 }".into());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (name, value) in [("traceparent", trace), ("tracestate", "a=b"), ("baggage", "user=7")] {
        envelope.fixed.trace.insert(name.to_owned(), value.to_owned());
    }
    envelope.fixed.schedule = Some("orders.nightly".to_owned());
    envelope.fixed.occurrence = Some(Millis(1_798_794_000_000));
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let wire = envelope.to_wire();
    place.backend.broker.publish(&[Publish { to, wire }]).await.remove(0).unwrap();

    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(view.result.as_deref(), Some("{\"receipt\": 12}"));
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.line, "POST /hooks/paid?shop=1 HTTP/1.1");
    assert_eq!(seen.body, b"{ \"order\":7 }", "not a byte is changed");
    let mut headers = seen.headers;
    let fence: u64 = headers.remove("x-leveret-fence").unwrap().parse().unwrap();
    assert!(fence > 0);
    let id = id.to_string();
    let expected = [
        ("accept", "*/*"),
        ("authorization", "Bearer abc"),
        ("content-length", "13"),
        ("content-type", "application/json"),
        ("host", &receiver.address.to_string()),
        ("idempotency-key", &id),
        ("traceparent", trace),
        ("tracestate", "a=b"),
        ("user-agent", concat!("leveret/", env!("CARGO_PKG_VERSION"))),
        ("x-leveret-attempt", "1"),
        ("x-leveret-kind", "order.paid"),
        ("x-leveret-max-attempts", "4"),
        ("x-leveret-occurrence", "2027-01-01T09:00:00Z"),
        ("x-leveret-schedule", "orders.nightly"),
        ("x-leveret-task-id", &id),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers, expected.into(), "and no baggage, and no signature without a secret");
}

#[tokio::test]
async fn an_answer_is_json_or_text_or_nothing() {
    for (status, body, result) in [
        ("200 OK", "not json", Some("\"not json\"")),
        ("201 Created", "[1, 2]", Some("[1, 2]")),
        ("204 No Content", "", None),
    ] {
        let receiver = Receiver::start(move |_| says(status, body)).await;
        let view = push_to(receiver.url("/")).await;
        assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, result), "{status}");
    }
}

#[tokio::test]
async fn four_hundreds_are_dead_and_what_may_pass_is_tried_again() {
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "410 Gone"] {
        let receiver = Receiver::start(move |_| says(status, "no such order")).await;
        let view = push_to(receiver.url("/a?key=geheim")).await;
        assert_eq!((view.state, view.attempt), (TaskState::Dead, 1), "{status}");
        assert_eq!(view.history[0].reason, Some(DeadReason::Handler));
        let (class, message) = failure(&view);
        assert_eq!(class, format!("http-{}", &status[..3]));
        let expected = format!("POST {}: {status}: no such order", receiver.url("/a"));
        assert_eq!(message, expected, "without what may be a secret");
    }
    for status in [
        "408 Request Timeout",
        "425 Too Early",
        "429 Too Many Requests",
        "500 Oh",
        "503 No",
        "599 X",
    ] {
        let answer = move |number| says(if number == 1 { status } else { "200 OK" }, "");
        let receiver = Receiver::start(answer).await;
        let view = push_to(receiver.url("/")).await;
        assert_eq!((view.state, view.attempt), (TaskState::Done, 2), "{status}");
        assert_eq!(failure(&view).0, format!("http-{}", &status[..3]));
        let seen = receiver.seen();
        assert_eq!(seen[1].headers["x-leveret-attempt"], "2");
        let key = |number: usize| seen[number].headers["idempotency-key"].clone();
        assert_eq!(key(0), key(1));
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let began = std::time::Instant::now();
    let answer = |number| match number {
        1 => says_with("429 Too Many Requests", "retry-after: 1\r\n", ""),
        _ => says("200 OK", ""),
    };
    let receiver = Receiver::start(answer).await;
    let view = push_to(receiver.url("/")).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 2));
    assert!(began.elapsed() >= Duration::from_secs(1), "by policy it would be 40 ms");
    let note = &view.history[0];
    let asked = note.next_at.unwrap().since(note.started_at.unwrap());
    assert!(asked >= Duration::from_secs(1), "{asked:?}");
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let elsewhere = Receiver::content("\"secret\"").await;
    let target = elsewhere.url("/inside");
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        // What follows a `?` is often a secret of the URL that was called.
        let header = format!("location: {target}?key=geheim\r\n");
        let receiver =
            Receiver::start(move |_| says_with(status, &header, "<a>?key=geheim</a>")).await;
        let view = push_to(receiver.url("/")).await;
        assert_eq!((view.state, view.attempt), (TaskState::Dead, 2), "{status}");
        let (class, message) = failure(&view);
        assert_eq!(class, format!("http-{}", &status[..3]));
        assert!(message.contains(&format!("to {target}, which is not followed")), "{message}");
        assert!(!message.contains("geheim"), "{message}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_large_answer_is_cut_and_the_task_is_done_once() {
    let body = "ä".repeat(1 << 20);
    let receiver = Receiver::start(move |_| says("200 OK", &body)).await;
    let view = push_to(receiver.url("/")).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    let result = view.result.unwrap();
    assert!(result.len() <= MAX_RESULT && result.len() > MAX_RESULT - 8, "{}", result.len());
    assert!(result.ends_with("ä…\""));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_large_answer_to_a_failure_is_not_read_to_its_end() {
    // It promises more than it sends: whoever wants all of it waits for ever.
    let head = "HTTP/1.1 500 Oh\r\ncontent-length: 100000000\r\n\r\n";
    let answer = format!("{head}{}", "why ".repeat(10_000));
    let receiver = Receiver::start(move |_| answer.clone()).await;
    let view = push_to(receiver.url("/")).await;
    let (class, message) = failure(&view);
    assert_eq!(class, "http-500");
    assert!(message.contains("500 Oh: why why") || message.contains(": why why"), "{message}");
    assert!(message.len() < 4_096, "{}", message.len());
}

#[tokio::test]
async fn a_receiver_that_is_slow_is_left_at_the_time_limit() {
    let slow =
        Receiver::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab".to_owned()).await;
    let view = push_by(&pusher(), endpoint(slow.url("/")), Duration::from_millis(300)).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 2));
    let (class, message) = failure(&view);
    assert_eq!(class, "timeout");
    assert!(message.contains("stopped before it was answered"), "{message}");
    eventually(DEADLINE, "both connections are ended", || async { slow.ended() == 2 }).await;
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_hangs_up_is_tried_again_by_policy() {
    let unused = SocketAddr::from(([127, 0, 0, 1], 1));
    let view = push_to(format!("http://{unused}/")).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 2));
    let (class, message) = failure(&view);
    assert_eq!(class, "connect");
    assert!(message.contains("refused"), "{message}");

    // Nobody says where it is; somebody is there and speaks no TLS.
    let limit = Duration::from_millis(200);
    let silent = Pusher::with_lookup(Arc::new(SystemClock), Arc::new(Silence));
    let plain = Receiver::content("1").await;
    for (pusher, url) in [
        (silent, "http://hooks.example/".to_owned()),
        (pusher(), format!("https://{}/", plain.address)),
    ] {
        let pusher = pusher.connect_within(limit);
        let view = push_by(&pusher, endpoint(url.clone()), Duration::from_secs(20)).await;
        assert_eq!((view.state, failure(&view).0), (TaskState::Dead, "connect"), "{url}");
    }

    let broken = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nab";
    let answer = move |number| if number == 1 { broken.to_owned() } else { says("200 OK", "7") };
    let receiver = Receiver::start(answer).await;
    let view = push_to(receiver.url("/")).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 2));
    assert_eq!(failure(&view).0, "connection");
    assert_eq!(view.result.as_deref(), Some("7"));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_unless_that_is_allowed() {
    let receiver = Receiver::content("1").await;
    let url = format!("http://hooks.example:{}/a", receiver.address.port());
    let all_lists: [&[&str]; 4] =
        [&["127.0.0.1"], &["10.0.0.1"], &["93.184.216.34", "127.0.0.1"], &["169.254.169.254"]];
    for list in all_lists {
        let pusher = Pusher::with_lookup(Arc::new(SystemClock), Names::of(&[list]));
        let view = push_by(&pusher, endpoint(url.clone()), Duration::from_secs(20)).await;
        assert_eq!((view.state, view.attempt), (TaskState::Dead, 2), "{list:?}");
        let (class, message) = failure(&view);
        assert_eq!(class, "address");
        let inside = list.last().unwrap();
        assert!(message.contains(&format!("hooks.example resolves to {inside}, ")), "{message}");
        assert!(message.contains("write allow = ["), "{message}");
    }
    assert_eq!(receiver.connections(), 0);
    for allow in ["127.0.0.0/8", "hooks.example"] {
        let pusher = Pusher::with_lookup(Arc::new(SystemClock), Names::of(&[&["127.0.0.1"]]));
        let allowed = Endpoint { allow: vec![allow.parse().unwrap()], ..endpoint(url.clone()) };
        let view = push_by(&pusher, allowed, Duration::from_secs(20)).await;
        assert_eq!(view.state, TaskState::Done, "{allow}");
    }
    assert_eq!(receiver.seen()[0].headers["host"], url[7..].strip_suffix("/a").unwrap());
}

#[tokio::test]
async fn localhost_and_an_address_in_the_url_need_no_permission() {
    let receiver = Receiver::content("1").await;
    let port = receiver.address.port();
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        let view = push_to(url.clone()).await;
        assert_eq!(view.state, TaskState::Done, "{url}");
    }
}

#[tokio::test]
async fn a_name_that_moves_inside_between_two_looks_reaches_nobody_there() {
    // The same port on two of this machine's addresses: one that is allowed, one that is not.
    let bait =
        Receiver::on("127.0.0.2:0", |_| says_with("503 No", "connection: close\r\n", "")).await;
    let port = bait.address.port();
    let victim = Receiver::on(&format!("127.0.0.1:{port}"), |_| says("200 OK", "\"secret\"")).await;
    let names = Names::of(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let pusher = Pusher::with_lookup(Arc::new(SystemClock), names);
    let allow = vec!["127.0.0.2".parse().unwrap()];
    let endpoint = Endpoint { allow, ..endpoint(format!("http://rebind.example:{port}/")) };
    let view = push_by(&pusher, endpoint, Duration::from_secs(20)).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 2));
    let classes: Vec<_> =
        view.history.iter().map(|note| note.failure.as_ref().unwrap().class.as_str()).collect();
    assert_eq!(classes, ["http-503", "address"]);
    assert_eq!((bait.seen().len(), victim.connections()), (1, 0));
}

#[tokio::test]
async fn connections_are_shared_by_all_kinds_that_are_allowed_the_same() {
    let receiver = Receiver::content("1").await;
    let url = format!("http://hooks.example:{}/", receiver.address.port());
    let names = Names::of(&[&["127.0.0.1"]]);
    let pusher = Pusher::with_lookup(Arc::new(SystemClock), names);
    let handler = |allow: &[&str]| {
        let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        pusher.handler(Endpoint { allow, ..endpoint(url.clone()) }).unwrap()
    };
    let place = Place::embedded();
    let kinds = vec![
        kind("first", handler(&["127.0.0.1", "hooks.example"])),
        kind("second", handler(&["hooks.example", "127.0.0.1"])),
        kind("third", handler(&[])),
    ];
    let _worker = place.work(kinds, config()).await;
    for name in ["first", "second", "first", "second"] {
        let id = place.producer.task(name, &()).await.unwrap().id;
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    assert_eq!(receiver.connections(), 1);
    // A connection is open, and not for a kind that would not have been let through itself.
    let id = place.producer.task("third", &()).max_attempts(1).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, failure(&view).0), (TaskState::Dead, "address"));
    assert_eq!(receiver.seen().len(), 4);
}

#[tokio::test]
async fn as_many_pushes_run_at_once_as_there_are_slots() {
    let waiting = Arc::new(AtomicUsize::new(0));
    let all = Arc::clone(&waiting);
    let receiver = Receiver::start(move |_| {
        all.fetch_add(1, Ordering::SeqCst);
        // Answered only by hanging up, when the test is over.
        String::new()
    })
    .await;
    let place = Place::embedded();
    let handler = pusher().handler(endpoint(receiver.url("/"))).unwrap();
    let worker = place.work(vec![kind("slow", handler)], config()).await;
    for _ in 0..4 {
        place.producer.task("slow", &()).await.unwrap();
    }
    eventually(DEADLINE, "all four are sent", || async { waiting.load(Ordering::SeqCst) == 4 })
        .await;
    worker.drain().await;
    eventually(DEADLINE, "a drain ends them", || async { receiver.ended() == 4 }).await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_used_is_refused_before_any_task() {
    let refused = |endpoint| pusher().handler(endpoint).err().unwrap();
    for url in ["", "hooks.example", "ftp://hooks.example", "http://", "http://a:99999/"] {
        assert!(matches!(refused(endpoint(url.to_owned())), EndpointError::Url(_)), "{url}");
    }
    let headers = vec![("a b".to_owned(), "c".to_owned())];
    let bad = Endpoint { headers, ..endpoint("http://hooks.example".to_owned()) };
    assert!(matches!(refused(bad), EndpointError::Header(_)));
}
