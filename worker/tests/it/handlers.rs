//! Handlers as programs write them: typed args, extractors, state, errors.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use leveret_common::envelope::DeadReason;
use leveret_common::id::{Fence, TaskId};
use leveret_common::name::{Class, KindName, Lane};
use leveret_common::store::{TaskState, TaskView};
use leveret_producer::{Enqueuer, Request};
use leveret_worker::handler::{
    Attempt, Cancel, Execution, Extract, FromRef, Handlers, IntoRegistry, Occurrence, State, Tags,
};
use leveret_worker::{Config, Reply, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::place::{Place, Running, config};

impl Place {
    /// Starts a worker of these handlers that serves every queue that they name.
    pub(crate) async fn perform<S>(&self, handlers: Handlers<S>) -> Running {
        let registry = handlers.into_registry().unwrap();
        let config = Config { queues: registry.queues(), ..config() };
        self.work_in(self.backend.clone(), registry, config).await
    }

    /// Enqueues a task and waits for its end.
    pub(crate) async fn run(&self, task: impl Into<Request>) -> TaskView {
        let id = self.producer.enqueue(task).await.unwrap().id;
        self.wait(id).await
    }
}

pub(crate) fn result(view: &TaskView) -> Value {
    serde_json::from_str(view.result.as_deref().unwrap_or("null")).unwrap()
}

#[derive(Serialize, Deserialize, Task)]
#[task(
    kind = "email.welcome",
    aliases = ["mail.welcome"],
    queue = "mail",
    class = "high",
    max_attempts = 2,
    backoff(fixed, delay = "10ms"),
    timeout = "30s",
    redact(email)
)]
struct Welcome {
    user_id: u64,
    email: String,
}

impl Welcome {
    fn to(user_id: u64) -> Self {
        Self { user_id, email: "someone@example.org".to_owned() }
    }
}

#[derive(Clone)]
struct Mailer {
    from: &'static str,
}

#[tokio::test]
async fn a_handler_takes_its_args_state_and_what_the_attempt_has() {
    #[allow(clippy::too_many_arguments, reason = "as many as there may be")]
    async fn welcome(
        args: Welcome,
        State(mailer): State<Mailer>,
        attempt: Attempt,
        id: TaskId,
        kind: KindName,
        Tags(tags): Tags,
        fence: Fence,
        occurrence: Option<Occurrence>,
        execution: Execution,
    ) -> Result<Value, TaskError> {
        assert_eq!((execution.id, execution.fence), (id, fence));
        assert_eq!(occurrence, None);
        assert!(!execution.cancel.is_cancelled());
        let Attempt { number, max, replay } = attempt;
        Ok(json!({
            "user": args.user_id, "from": mailer.from, "number": number, "max": max,
            "replay": replay, "last": attempt.is_last(), "id": id, "kind": kind.as_str(),
            "lane": execution.lane.to_string(), "tags": *tags,
        }))
    }
    let place = Place::embedded();
    let handlers = Handlers::new().state(Mailer { from: "hello@example.org" }).handle(welcome);
    let _worker = place.perform(handlers).await;
    let task = place.producer.enqueue(Welcome::to(7)).tag("tenant", "42");
    let accepted = task.await.unwrap();
    assert_eq!(accepted.lane, Lane::new("mail".parse().unwrap(), Class::High));
    let expected = json!({
        "user": 7, "from": "hello@example.org", "number": 1, "max": 2, "replay": 0, "last": false,
        "id": accepted.id, "kind": "email.welcome", "lane": "mail.high", "tags": {"tenant": "42"},
    });
    assert_eq!(result(&place.wait(accepted.id).await), expected);
}

#[tokio::test]
async fn a_request_says_where_a_task_goes_and_by_which_name_a_repeat_is_known() {
    let place = Place::embedded();
    let to_7 = || place.producer.enqueue(Welcome::to(7)).key("welcome-7").queue("bulk");
    let first = to_7().class(Class::Low).delay(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(first.lane, Lane::new("bulk".parse().unwrap(), Class::Low));
    assert_eq!(first.state, TaskState::Delayed);
    let again = to_7().await.unwrap();
    assert_eq!((again.id, again.repeated), (first.id, true));
}

#[tokio::test]
async fn tasks_under_a_name_that_the_kind_had_before_are_performed() {
    async fn welcome(args: Welcome, kind: KindName) -> Result<String, TaskError> {
        Ok(format!("{kind} {}", args.user_id))
    }
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle(welcome)).await;
    let view = place.run(Request::new("mail.welcome", &Welcome::to(8)).queue("mail")).await;
    assert_eq!(result(&view), json!("mail.welcome 8"));
}

#[tokio::test]
async fn any_error_is_retried_by_the_policy_of_the_type_and_then_dead() {
    async fn welcome(_: Welcome) -> anyhow::Result<()> {
        std::fs::read("/nowhere/template.html").context("failed to read the template")?;
        Ok(())
    }
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle(welcome)).await;
    let view = place.run(Welcome::to(7)).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 2));
    let last = view.history.last().unwrap();
    assert_eq!(last.reason, Some(DeadReason::AttemptsExhausted));
    let failure = last.failure.as_ref().unwrap();
    assert_eq!(failure.class, "error");
    assert_eq!(
        failure.message,
        "failed to read the template: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn a_task_error_keeps_its_class_and_what_it_asks_for_through_anyhow() {
    fn look_up(user_id: u64) -> anyhow::Result<()> {
        Err(TaskError::dead(format!("there is no user {user_id}")).of_class("unknown-user"))?
    }
    async fn welcome(args: Welcome) -> anyhow::Result<()> {
        look_up(args.user_id).context("failed to greet")
    }
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle(welcome)).await;
    let view = place.run(Welcome::to(7)).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 1));
    assert_eq!(view.history[0].reason, Some(DeadReason::Handler));
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "unknown-user");
    assert_eq!(failure.message, "failed to greet: there is no user 7");
}

#[tokio::test]
async fn redacted_fields_are_shown_neither_by_debug_nor_by_the_error_of_args_that_do_not_fit() {
    async fn welcome(_: Welcome) -> Result<(), TaskError> {
        Ok(())
    }
    let shown = format!("{:?}", Welcome::to(7));
    assert_eq!(shown, "Welcome { user_id: 7, email: [redacted] }");
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle(welcome)).await;
    let args = json!({"user_id": "someone@example.org", "email": 1});
    let view = place.run(Request::new("email.welcome", &args).queue("mail")).await;
    let failure = view.history.last().unwrap().failure.clone().unwrap();
    assert_eq!(failure.class, "args");
    assert!(!failure.message.contains("someone"), "{}", failure.message);
}

#[tokio::test]
async fn a_handler_enqueues_typed_tasks_during_the_run_and_with_its_success() {
    async fn start(count: u64, enqueuer: Enqueuer) -> Result<Reply, TaskError> {
        for user_id in 0..count {
            enqueuer.enqueue(Welcome::to(user_id)).tag("of", "start").await?;
        }
        Ok(Reply::default().follow_up(Welcome::to(count)))
    }
    async fn welcome(args: Welcome, tags: Tags) -> Result<(u64, Option<String>), TaskError> {
        Ok((args.user_id, tags.get("of").cloned()))
    }
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle_as("start", start).handle(welcome)).await;
    let parent = place.run(Request::new("start", &2)).await;
    assert_eq!(parent.state, TaskState::Done);
    for (user_id, of) in [(0, Some("start")), (1, Some("start")), (2, None)] {
        let (kind, args) = (Welcome::KIND.parse().unwrap(), Welcome::to(user_id));
        let json = serde_json::to_vec(&args).unwrap();
        let child = place.wait(parent.id.follow_up(0, &kind, &json, 0)).await;
        assert_eq!(result(&child), json!([user_id, of]));
    }
}

#[tokio::test]
async fn each_handler_takes_the_state_that_was_handed_over_before_it_or_a_part_of_it() {
    struct App {
        mailer: Mailer,
        limit: u32,
    }
    struct Limit(u32);
    impl FromRef<App> for Mailer {
        fn from_ref(app: &App) -> Self {
            app.mailer.clone()
        }
    }
    impl FromRef<App> for Limit {
        fn from_ref(app: &App) -> Self {
            Self(app.limit)
        }
    }
    async fn early(_: Value, State(number): State<u8>) -> Result<u8, TaskError> {
        Ok(number)
    }
    async fn late(
        _: Value,
        State(mailer): State<Mailer>,
        State(Limit(limit)): State<Limit>,
    ) -> Result<String, TaskError> {
        Ok(format!("{} {limit}", mailer.from))
    }
    let place = Place::embedded();
    let app = App { mailer: Mailer { from: "a@example.org" }, limit: 5 };
    let handlers =
        Handlers::new().state(3_u8).handle_as("early", early).state(app).handle_as("late", late);
    let _worker = place.perform(handlers).await;
    assert_eq!(result(&place.run(Request::new("early", &())).await), json!(3));
    assert_eq!(result(&place.run(Request::new("late", &())).await), json!("a@example.org 5"));
}

#[tokio::test]
async fn an_extractor_of_the_program_can_decide_what_becomes_of_the_task() {
    struct Tenant(String);
    impl<S: Sync> Extract<S> for Tenant {
        async fn extract(from: &Execution, _: &S) -> Result<Self, TaskError> {
            let tenant = from.tags.get("tenant").cloned();
            tenant.map(Self).ok_or_else(|| TaskError::dead("no tenant").of_class("tenant"))
        }
    }
    async fn bill(_: Value, Tenant(name): Tenant) -> Result<String, TaskError> {
        Ok(name)
    }
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle_as("bill", bill)).await;
    let view = place.run(Request::new("bill", &()).tag("tenant", "42")).await;
    assert_eq!(result(&view), json!("42"));
    let view = place.run(Request::new("bill", &())).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 1));
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "tenant");
}

#[tokio::test]
async fn a_handler_is_asked_to_stop_when_its_time_is_over_and_may_still_succeed() {
    async fn wait(_: Value, cancel: Cancel) -> Result<&'static str, TaskError> {
        assert!(!cancel.is_asked());
        cancel.asked().await;
        assert!(cancel.is_asked());
        Ok("stopped in time")
    }
    let place = Place::embedded();
    let _worker = place.perform(Handlers::new().handle_as("wait", wait)).await;
    let view = place.run(Request::new("wait", &()).timeout(Duration::from_millis(50))).await;
    assert_eq!((view.state, result(&view)), (TaskState::Done, json!("stopped in time")));
}

#[tokio::test]
async fn a_blocking_handler_has_a_thread_of_its_own_and_sees_that_it_is_asked_to_stop() {
    #[derive(Serialize, Deserialize, Task)]
    #[task(kind = "block", max_attempts = 1)]
    enum Block {
        Name,
        Panic,
        UntilAsked,
    }
    #[allow(clippy::needless_pass_by_value, reason = "a handler owns what it takes")]
    fn block(
        args: Block,
        cancel: Cancel,
        State(begun): State<Arc<Notify>>,
    ) -> Result<String, TaskError> {
        match args {
            Block::Name => Ok(std::thread::current().name().unwrap_or_default().to_owned()),
            Block::Panic => panic!("no such {}", "page"),
            Block::UntilAsked => {
                begun.notify_one();
                while !cancel.is_asked() {
                    std::thread::yield_now();
                }
                Ok("asked".to_owned())
            }
        }
    }
    let place = Place::embedded();
    let begun = Arc::new(Notify::new());
    let handlers = Handlers::new().state(Arc::clone(&begun)).handle_blocking(block);
    let _worker = place.perform(handlers).await;
    assert_eq!(result(&place.run(Block::Name).await), json!("leveret-handler"));
    let view = place.run(Block::Panic).await;
    let failure = view.history[0].failure.clone().unwrap();
    assert_eq!(failure.class, "panic");
    assert_eq!(failure.message, "the handler panicked: no such page");
    let id = place.producer.enqueue(Block::UntilAsked).await.unwrap().id;
    begun.notified().await;
    let ask = place.producer.cancel_of(id, None, &Default::default());
    place.producer.cancel(ask, "test").await.unwrap();
    // A success still counts.
    let view = place.wait(id).await;
    assert_eq!((view.state, result(&view)), (TaskState::Done, json!("asked")));
}

#[test]
fn everything_that_is_wrong_with_handlers_is_told_at_once() {
    struct Wrong;
    impl Task for Wrong {
        const KIND: &'static str = "wrong";
        const ALIASES: &'static [&'static str] = &["no kind", "email.welcome"];
        fn defaults() -> leveret_producer::Defaults {
            leveret_producer::Defaults::new().queue("Mail").max_attempts(0)
        }
    }
    impl<'de> Deserialize<'de> for Wrong {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }
    async fn wrong(_: Wrong) -> Result<(), TaskError> {
        Ok(())
    }
    async fn welcome(_: Welcome) -> Result<(), TaskError> {
        Ok(())
    }
    let handlers = Handlers::new()
        .with(|kind| kind.timeout(Duration::ZERO))
        .handle(wrong)
        .handle(welcome)
        .handle(welcome)
        .handle_as("no name", wrong);
    let told = handlers.into_registry().unwrap_err().to_string();
    for part in [
        "`with` changes the kind that was added last",
        "kind \"no kind\" is not valid",
        "queue \"Mail\" is not valid",
        "max_attempts is 0",
        "kind email.welcome: it has a handler already",
        "kind \"no name\" is not valid",
        "its alias email.welcome is the name or an alias of email.welcome",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told:?}");
    }
}
