//! The harness as its users see it: what waits, what is performed, and whose clock it goes by.

mod mishaps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use leveret_common::id::TaskId;
use leveret_common::name::Class;
use leveret_common::spawn::Spawner;
use leveret_common::store::{Pause, TaskState};
use leveret_worker::handler::{Attempt, Batch, Checkpoint, Reply, State};
use leveret_worker::harness::{BEGINNING, Became, Harness};
use leveret_worker::{Handlers, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Task)]
#[task(kind = "email.welcome", aliases = ["mail.hello"], queue = "mail", max_attempts = 3)]
pub(super) struct Welcome {
    pub(super) user_id: u64,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "count.down")]
struct CountDown {
    from: u32,
}

#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "again")]
struct Again {}

async fn welcome(args: Welcome) -> Result<String, TaskError> {
    match args.user_id {
        0 => Err("nobody has the number 0")?,
        id => Ok(format!("welcome, {id}")),
    }
}

/// Each is followed by the next one, the last by a welcome in an hour.
async fn count_down(args: CountDown) -> Result<Reply, TaskError> {
    let left = args.from.saturating_sub(1);
    Ok(match left {
        0 => Reply::default()
            .follow_up(leveret_producer::Request::from(Welcome { user_id: 1 }).delay(HOUR)),
        from => Reply::default().follow_up(CountDown { from }),
    })
}

async fn again(_: Again) -> Result<Reply, TaskError> {
    Ok(Reply::default().follow_up(Again {}))
}

pub(super) fn app() -> Harness {
    Harness::new(Handlers::new().handle(welcome).handle(count_down).handle(again))
}

/// Returns what a test fails with.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[tokio::test]
async fn a_task_is_performed_when_the_test_says_so_and_its_result_is_kept() {
    let mut app = app();
    let id = app.producer().enqueue(Welcome { user_id: 7 }).await.unwrap().id;
    assert_eq!(app.find(id).await.unwrap().state, TaskState::Queued);
    let performed = app.perform_one().await.unwrap();
    assert_eq!((performed.id, performed.attempt), (id, 1));
    assert_eq!(performed.lane.to_string(), "mail.normal");
    assert_eq!(performed.became, Became::Done { result: json!("welcome, 7") });
    assert_eq!(app.result::<String>(id).await.as_deref(), Some("welcome, 7"));
    let view = app.find(id).await.unwrap();
    assert_eq!((view.state, view.history.len()), (TaskState::Done, 1));
    assert_eq!(app.perform_one().await, None);
    assert_eq!(app.pending(), []);
}

#[tokio::test]
async fn what_waits_is_listed_typed_and_by_name_those_due_first() {
    let app = app();
    let producer = app.producer();
    let later = producer.enqueue(Welcome { user_id: 8 }).delay(HOUR).key("welcome 8").tag("a", "b");
    let later = later.class(Class::High).await.unwrap().id;
    app.enqueue(Welcome { user_id: 7 }).await.unwrap();
    let listed = app.enqueued::<Welcome>();
    let ids: Vec<_> = listed.iter().map(|one| one.args.user_id).collect();
    assert_eq!(ids, [7, 8]);
    let one = &listed[1];
    assert_eq!((one.id, one.due_in, one.attempt), (later, HOUR, 1));
    assert_eq!(
        (one.key.as_deref(), one.lane.to_string().as_str()),
        (Some("welcome 8"), "mail.high")
    );
    assert_eq!(one.tags["a"], "b");
    assert_eq!(app.enqueued_of("email.welcome")[1].args, json!({ "user_id": 8 }));
    app.assert_enqueued::<Welcome>(|task| task.user_id == 8);
    app.refute_enqueued::<Welcome>(|task| task.user_id == 9);
    app.assert_enqueued_of("email.welcome", |args| args["user_id"] == 7);
    app.refute_enqueued_of("again", |_| true);
    // What was enqueued under an older name is of the same kind.
    producer.task("mail.hello", &json!({ "user_id": 9 })).await.unwrap();
    app.assert_enqueued::<Welcome>(|task| task.user_id == 9);
}

#[tokio::test]
async fn an_assertion_that_does_not_hold_shows_what_is_there() {
    let app = app();
    let told = failure(|| app.assert_enqueued::<Welcome>(|_| true));
    assert_eq!(told, "no task of kind email.welcome is enqueued\nnothing is enqueued");
    let producer = app.producer();
    producer.enqueue(Welcome { user_id: 7 }).delay(HOUR).key("seven").await.unwrap();
    let again = app.enqueue(Again {}).await.unwrap().id;
    let table = format!(
        "enqueued:\n  \
         kind           lane            due    attempt  key or id                             args\n  \
         again          default.normal  now    1        {again}  {{}}\n  \
         email.welcome  mail.normal     in 1h  1        \"seven\"                               \
         {{\"user_id\":7}}"
    );
    let told = failure(|| app.assert_enqueued::<Welcome>(|task| task.user_id == 8));
    let why = "one task of kind email.welcome is enqueued, and it is not the one wanted";
    assert_eq!(told, format!("{why}\n{table}"));
    let told = failure(|| app.refute_enqueued::<Again>(|_| true));
    assert_eq!(told, format!("task {again} of kind again is enqueued, and should not be\n{table}"));
}

#[tokio::test]
async fn a_delayed_task_is_due_when_the_test_has_moved_the_clock() {
    let mut app = app();
    assert_eq!(app.now(), BEGINNING);
    app.enqueue(Welcome { user_id: 7 }).delay(400 * 24 * HOUR).await.unwrap();
    app.advance(400 * 24 * HOUR - Duration::from_millis(1));
    assert_eq!(app.perform_one().await, None);
    app.advance(Duration::from_millis(1));
    assert!(app.perform_one().await.unwrap().became.is_done());
}

#[tokio::test]
async fn one_task_is_performed_alone_among_others_and_they_keep_their_turns() {
    let mut app = app();
    for user_id in [1, 2] {
        app.enqueue(Welcome { user_id }).await.unwrap();
    }
    assert_eq!(app.perform(Welcome { user_id: 9 }).await.result::<String>(), "welcome, 9");
    assert!(app.perform(Welcome { user_id: 0 }).await.is_retry());
    let left: Vec<_> = app.enqueued::<Welcome>().iter().map(|one| one.args.user_id).collect();
    assert_eq!(left, [1, 2, 0]);
    let performed = app.run_until_idle().await;
    let results: Vec<String> = performed.of::<Welcome>().map(Became::result).collect();
    assert_eq!(results, ["welcome, 1", "welcome, 2"]);
    let delayed = leveret_producer::Request::from(Welcome { user_id: 5 }).delay(HOUR);
    let told = AssertUnwindSafe(app.perform(delayed)).catch_unwind().await.unwrap_err();
    assert!(
        told.downcast::<String>().unwrap().contains("it is delayed, and cannot be performed now")
    );
}

#[tokio::test]
async fn the_more_urgent_class_goes_first() {
    let mut app = app();
    for (user_id, class) in [(1, Class::Low), (2, Class::Normal), (3, Class::Critical)] {
        app.enqueue(Welcome { user_id }).class(class).await.unwrap();
    }
    let classes: Vec<_> =
        app.run_until_idle().await.performed.into_iter().map(|one| one.lane.class).collect();
    assert_eq!(classes, [Class::Critical, Class::Normal, Class::Low]);
}

#[tokio::test]
async fn follow_ups_that_are_due_are_performed_and_delayed_ones_wait_for_the_clock() {
    let mut app = app();
    app.enqueue(CountDown { from: 3 }).await.unwrap();
    let summary = app.run_until_idle().await;
    assert_eq!((summary.attempts(), summary.done()), (3, 3), "{summary}");
    assert_eq!(app.now(), BEGINNING);
    assert_eq!(app.enqueued::<Welcome>()[0].due_in, HOUR);
    let summary = app.run_everything().await;
    assert_eq!(summary.of::<Welcome>().count(), 1, "{summary}");
    assert_eq!(app.now(), BEGINNING.after(HOUR));
}

#[tokio::test]
async fn the_clock_moves_over_retries_until_a_task_is_over_and_no_further() {
    let mut app = app();
    let id = app.enqueue(Welcome { user_id: 0 }).await.unwrap().id;
    app.enqueue(Welcome { user_id: 1 }).delay(300 * 24 * HOUR).await.unwrap();
    let ended = app.run_until_over(id).await;
    assert!(ended.is_dead() && ended.error() == Some("nobody has the number 0"), "{ended}");
    assert_eq!(app.find(id).await.unwrap().history.len(), 3);
    let letter = &app.dead()[0];
    assert_eq!((letter.id, letter.kind.as_str(), letter.attempt), (id, "email.welcome", 3));
    assert_eq!(letter.reason.unwrap().as_str(), "attempts-exhausted");
    assert_eq!(letter.args, json!({ "user_id": 0 }));
    let next = app.enqueued::<Welcome>();
    assert!(next.len() == 1 && next[0].due_in > 299 * 24 * HOUR, "{next:?}");
    assert_eq!(app.run_until_over(id).await, ended, "it is over, and nothing more is performed");
}

#[tokio::test]
async fn as_many_attempts_as_are_allowed_are_not_too_many() {
    let mut app = app().at_most(3);
    for user_id in 1..=3 {
        app.enqueue(Welcome { user_id }).await.unwrap();
    }
    assert_eq!(app.run_until_idle().await.attempts(), 3);
}

#[tokio::test]
async fn what_never_ends_is_stopped_and_named() {
    let mut app = app().at_most(20);
    app.enqueue(Again {}).await.unwrap();
    let told = AssertUnwindSafe(app.run_until_idle()).catch_unwind().await.unwrap_err();
    let told = told.downcast::<String>().unwrap();
    assert!(told.contains("not idle after 20 attempts: again 20 times"), "{told}");
}

#[tokio::test]
async fn a_task_that_will_not_be_over_is_not_waited_for() {
    let mut app = app();
    app.enqueue(Welcome { user_id: 7 }).await.unwrap();
    let unknown = AssertUnwindSafe(app.run_until_over(TaskId::mint()));
    let told = unknown.catch_unwind().await.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("nothing more will be due; performed was:\nemail.welcome"), "{told}");
}

#[tokio::test]
async fn a_batch_is_filled_by_tasks_that_are_performed_at_once() {
    async fn all(tasks: Vec<Welcome>) -> Vec<Result<usize, TaskError>> {
        let count = tasks.len();
        tasks.into_iter().map(|_| Ok(count)).collect()
    }
    let mut app = Harness::new(Handlers::new().handle_batch(all, Batch::of(3).within(HOUR)));
    for user_id in 0..3 {
        app.enqueue(Welcome { user_id }).await.unwrap();
    }
    let summary = app.perform_at_once(3).await;
    let counts: Vec<usize> = summary.of::<Welcome>().map(Became::result).collect();
    assert_eq!(counts, [3, 3, 3]);
}

#[tokio::test]
async fn a_checkpoint_is_there_for_the_next_attempt() {
    async fn steps(
        _: Welcome,
        attempt: Attempt,
        mut seen: Checkpoint<u32>,
    ) -> Result<u32, TaskError> {
        if attempt.number == 1 {
            seen.save(&7).await?;
            Err("not yet")?;
        }
        Ok(seen.take().unwrap_or_default())
    }
    let mut app = Harness::new(Handlers::new().handle(steps));
    let id = app.enqueue(Welcome { user_id: 1 }).await.unwrap().id;
    assert_eq!(app.run_until_over(id).await.result::<u32>(), 7);
}

#[tokio::test]
async fn what_is_cancelled_expired_or_paused_is_not_performed() {
    let mut app = app();
    let cancelled = app.enqueue(Welcome { user_id: 1 }).await.unwrap().id;
    let producer = app.producer();
    let ask = producer.cancel_of(cancelled, None, &leveret_common::store::TaskRecord::default());
    producer.cancel(ask, "lea").await.unwrap();
    app.refute_enqueued::<Welcome>(|_| true);
    assert_eq!(app.perform_one().await, None);
    assert_eq!(app.run_until_over(cancelled).await, Became::Cancelled);

    producer.enqueue(Welcome { user_id: 2 }).expires(HOUR).await.unwrap();
    app.advance(2 * HOUR);
    assert_eq!(app.perform_one().await.unwrap().became, Became::Expired);

    let queue = "mail".parse().unwrap();
    let pause = Pause { queue, at: app.now(), by: "lea".to_owned(), why: None };
    app.backend().signals.pause(&pause).await.unwrap();
    app.enqueue(Welcome { user_id: 3 }).await.unwrap();
    app.enqueue(Welcome { user_id: 4 }).queue("other").delay(HOUR).await.unwrap();
    assert_eq!(app.run_everything().await.attempts(), 1, "another queue goes on");
    app.backend().signals.resume(&pause.queue).await.unwrap();
    assert_eq!(app.run_everything().await.done(), 1);
}

#[tokio::test]
async fn a_task_that_nobody_performs_waits_for_a_deploy_and_is_dead_then() {
    let mut app = app();
    let id = app.task("no.such", &json!({})).queue("other").await.unwrap().id;
    let parked = app.perform_one().await.unwrap().became;
    assert_eq!(parked, Became::Parked { until: BEGINNING.after(Duration::from_secs(5)) });
    assert_eq!(app.enqueued_of("no.such")[0].due_in, Duration::from_secs(5));
    let Became::Dead { reason, .. } = app.run_until_over(id).await else { panic!("not dead") };
    assert_eq!(reason.as_str(), "no-handler");
    assert!(app.now() >= BEGINNING.after(Duration::from_secs(600)));
}

#[tokio::test]
async fn what_is_wrong_with_handlers_is_told_when_the_harness_is_made() {
    let told = failure(|| drop(Harness::new(Handlers::new().handle(welcome).handle(welcome))));
    assert!(told.contains("kind email.welcome: it has a handler already"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_under_test_may_enqueue_from_many_tasks_while_others_are_performed() {
    let mut app = app();
    let (producer, spawner) = (app.producer(), Spawner::new());
    let enqueues: Vec<_> = (1..=200)
        .map(|user_id| {
            let producer = producer.clone();
            spawner.spawn(async move { producer.enqueue(Welcome { user_id }).await.unwrap().id })
        })
        .collect();
    let mut done = app.run_until_idle().await.done();
    futures_util::future::join_all(enqueues).await;
    assert_eq!(app.pending().len(), 200 - done);
    done += app.run_until_idle().await.done();
    assert_eq!(done, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_harnesses_live_side_by_side_and_share_nothing() {
    async fn tell(task: Welcome, to: State<mpsc::UnboundedSender<u64>>) -> Result<(), TaskError> {
        Ok(to.0.send(task.user_id)?)
    }
    let one = |number: u64| async move {
        let (to, mut heard) = mpsc::unbounded_channel();
        let mut app = Harness::new(Handlers::new().state(to).handle(tell));
        app.enqueue(Welcome { user_id: number }).await.unwrap();
        app.advance(Duration::from_secs(number));
        let performed = app.run_until_idle().await;
        (app.now(), performed.done(), heard.recv().await)
    };
    let all = futures_util::future::join_all((0..100).map(one)).await;
    for (number, seen) in (0..).zip(all) {
        assert_eq!(seen, (BEGINNING.after(Duration::from_secs(number)), 1, Some(number)));
    }
}
