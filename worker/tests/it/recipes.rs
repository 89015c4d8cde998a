//! The receivers of `docs/kinds.md`, as they stand there, against requests that were really sent.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use leveret_common::clock::{Clock, ManualClock, Millis, SharedClock, SystemClock};
use leveret_common::store::{TaskState, TaskView};
use leveret_common::testkit::eventually;
use leveret_worker::handler::push::{Endpoint, Pusher};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::place::{DEADLINE, Place, config, kind};
use crate::receiver::Receiver;

const PAGE: &str = include_str!("../../../docs/kinds.md");
const SECRET: &str = "the-secret-of-the-receiver";
/// Most bytes of a body, in both.
const LIMIT: usize = 1 << 20;
const OTHER: &str = "some-other-secret-of-nobody";

/// A receiver of the page that runs; killed when dropped.
struct Recipe {
    address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Recipe {
    /// Starts the program of the page with this name; nothing where there is no such language.
    async fn start(program: &str, file: &str) -> Option<Self> {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: there is no {program}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (_, rest) = PAGE.split_once(&format!("<!-- recipe: {file} -->")).unwrap();
        let (_, code) = rest.split_once("```").unwrap().1.split_once('\n').unwrap();
        std::fs::write(folder.path().join(file), code.split_once("```").unwrap().0).unwrap();
        // Free a moment ago: taken by somebody else meanwhile, the test fails aloud.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let child = Command::new(program)
            .arg(folder.path().join(file))
            .env("PORT", address.port().to_string())
            .env("HOOK_SECRET", SECRET)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let recipe = Self { address, child, _folder: folder };
        eventually(DEADLINE, "it listens", || async { TcpStream::connect(address).await.is_ok() })
            .await;
        Some(recipe)
    }

    /// Has a worker push one task to it.
    async fn asked(&self, clock: SharedClock, secrets: &[&str]) -> TaskView {
        push(format!("http://{}/hooks/paid", self.address), clock, secrets).await
    }

    /// Sends these bytes and returns the status of the answer.
    async fn status_of(&self, raw: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(raw).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()[9..].parse().unwrap()
    }
}

impl Drop for Recipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn push(url: String, clock: SharedClock, secrets: &[&str]) -> TaskView {
    let secrets = secrets.iter().copied().map(str::to_owned).collect();
    let endpoint = Endpoint { url, secrets, ..Endpoint::default() };
    let handler = Pusher::new(clock).handler(endpoint).unwrap();
    let place = Place::embedded();
    let _worker = place.work(vec![kind("order.paid", handler)], config()).await;
    let task = place.producer.task("order.paid", &json!({"order": 7})).max_attempts(1);
    let id = task.await.unwrap().id;
    place.wait(id).await
}

/// `enough` is how much of a body that is too large it wants to have before it refuses it.
async fn verifies(recipe: Recipe, enough: usize) {
    let now = || Arc::new(SystemClock) as SharedClock;
    for secrets in [&[SECRET][..], &[OTHER, SECRET], &[SECRET, OTHER]] {
        let view = recipe.asked(now(), secrets).await;
        assert_eq!(view.state, TaskState::Done, "{secrets:?}: {view:?}");
        let result: Value = serde_json::from_str(&view.result.unwrap()).unwrap();
        assert_eq!(result, json!({"task": view.id.to_string(), "paid": 7}));
    }
    let away = |by: i64| {
        let now = i64::try_from(SystemClock.now().0).unwrap() + by * 1_000;
        Arc::new(ManualClock::at(Millis(u64::try_from(now).unwrap()))) as SharedClock
    };
    for (clock, secrets) in
        [(now(), &[][..]), (now(), &[OTHER]), (away(-400), &[SECRET]), (away(400), &[SECRET])]
    {
        let view = recipe.asked(clock, secrets).await;
        assert_eq!(view.state, TaskState::Dead, "{secrets:?}");
        assert_eq!(view.history[0].failure.as_ref().unwrap().class, "http-401");
    }
    // What was really sent, and the same with one byte changed.
    let receiver = Receiver::content("1").await;
    push(receiver.url("/hooks/paid"), now(), &[SECRET]).await;
    let sent = receiver.seen().remove(0).raw;
    assert_eq!(recipe.status_of(&sent).await, 200);
    let text = String::from_utf8(sent).unwrap();
    for (from, to) in [("{\"order\":7}", "{\"order\":8}"), ("t=1", "t=2"), ("v1=", "v0=")] {
        assert!(text.contains(from), "{text}");
        assert_eq!(recipe.status_of(text.replace(from, to).as_bytes()).await, 401, "{to}");
    }
    // From anybody, who has no secret: it goes on all the same.
    let head =
        |length: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let mut broken = TcpStream::connect(recipe.address).await.unwrap();
    broken.write_all((head("100") + "abc").as_bytes()).await.unwrap();
    drop(broken);
    assert_eq!(recipe.status_of(head("-1").as_bytes()).await, 400);
    let large = format!("{}{}", head(&(LIMIT + 1).to_string()), " ".repeat(enough));
    assert_eq!(recipe.status_of(large.as_bytes()).await, 413);
    assert_eq!(recipe.status_of(text.as_bytes()).await, 200);
}

#[tokio::test]
async fn the_receiver_in_python_takes_what_is_signed_and_nothing_else() {
    if let Some(recipe) = Recipe::start("python3", "receiver.py").await {
        verifies(recipe, 0).await;
    }
}

#[tokio::test]
async fn the_receiver_in_javascript_takes_what_is_signed_and_nothing_else() {
    if let Some(recipe) = Recipe::start("node", "receiver.mjs").await {
        verifies(recipe, LIMIT + 1).await;
    }
}
