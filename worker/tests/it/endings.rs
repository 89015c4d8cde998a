//! How a task can end, by what its handler does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leveret_common::broker::{Destination, Publish};
use leveret_common::envelope::{DeadReason, Envelope};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::retry::{Override, Rule};
use leveret_common::store::TaskState;
use leveret_worker::handler::{echo, from_fn};
use leveret_worker::{Execution, TaskError};
use serde_json::{Value, json};

use crate::place::{Place, config, kind};

on_every_backend! {
    a_task_is_done_with_its_result,
    a_failing_task_is_retried_with_growing_delays_and_then_dead_with_its_error,
    a_handler_can_ask_for_death_a_wait_and_a_snooze,
    snoozes_use_up_no_attempts_and_the_policys_rules_and_delays_stay,
    a_task_that_was_snoozed_for_years_may_still_fail_and_be_retried,
    a_failure_with_a_very_long_class_is_retried_like_any_other,
    a_panic_is_a_failed_attempt_and_the_worker_lives_on,
    args_that_do_not_fit_are_a_failure_that_says_what_is_wrong,
    the_soft_limit_asks_and_the_hard_limit_drops,
    handlers_that_block_every_thread_stop_no_heartbeat,
    a_thousand_tasks_run_once_each,
}

async fn a_task_is_done_with_its_result(place: Place) {
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let id = place.producer.task("demo.echo", &json!({"n": 7})).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(view.result.as_deref(), Some(r#"{"n":7}"#));
}

async fn a_failing_task_is_retried_with_growing_delays_and_then_dead_with_its_error(place: Place) {
    let fail = from_fn(|_: Value, execution: Execution| async move {
        let attempt = execution.order.attempt;
        Err::<(), _>(TaskError::failed("refused", format!("no answer to attempt {attempt}")))
    });
    let _worker = place.work(vec![kind("demo.fail", fail)], config()).await;
    let id = place.producer.task("demo.fail", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 4));
    let last = view.history.last().unwrap();
    assert_eq!(last.reason, Some(DeadReason::AttemptsExhausted));
    let failure = last.failure.as_ref().unwrap();
    assert_eq!(failure.class, "refused");
    assert_eq!(failure.message, "no answer to attempt 4");
    let waits: Vec<_> = view
        .history
        .iter()
        .filter_map(|note| Some(note.next_at?.since(note.failure.as_ref()?.at)))
        .collect();
    assert_eq!(waits, [40, 80, 160].map(Duration::from_millis));
    for pair in view.history.windows(2) {
        assert!(pair[1].started_at >= pair[0].next_at, "an attempt began before it was due");
    }
}

async fn a_handler_can_ask_for_death_a_wait_and_a_snooze(place: Place) {
    let snoozes = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&snoozes);
    let moody = from_fn(move |_: Value, execution: Execution| {
        let count = Arc::clone(&count);
        async move {
            match execution.order.attempt {
                1..=5 => {
                    count.fetch_add(1, Ordering::SeqCst);
                    Err(TaskError::snooze(Duration::from_millis(10)))
                }
                6 => Err(TaskError::retry_in(Duration::from_millis(70), "busy")),
                _ => Ok(execution.max_attempts),
            }
        }
    });
    let dead =
        from_fn(|_: Value, _| async move { Err::<(), _>(TaskError::dead("no such address")) });
    let kinds = vec![kind("demo.moody", moody), kind("demo.dead", dead)];
    let _worker = place.work(kinds, config()).await;
    let moody = place.producer.task("demo.moody", &()).await.unwrap().id;
    let dead = place.producer.task("demo.dead", &()).await.unwrap().id;

    let view = place.wait(moody).await;
    assert_eq!(view.state, TaskState::Done, "five snoozes use up none of four attempts: {view:?}");
    assert_eq!(snoozes.load(Ordering::SeqCst), 5);
    assert_eq!(view.result.as_deref(), Some("9"), "four attempts and five snoozes");
    let asked = view.history.iter().find(|note| note.failure.is_some()).unwrap();
    let wait = asked.next_at.unwrap().since(asked.failure.as_ref().unwrap().at);
    assert_eq!(wait, Duration::from_millis(70));

    let view = place.wait(dead).await;
    assert_eq!((view.state, view.attempt), (TaskState::Dead, 1));
    assert_eq!(view.history[0].reason, Some(DeadReason::Handler));
}

async fn snoozes_use_up_no_attempts_and_the_policys_rules_and_delays_stay(place: Place) {
    const SNOOZES: u32 = 3;
    let limited = from_fn(|_: Value, execution: Execution| async move {
        match execution.order.attempt {
            ..=SNOOZES => Err(TaskError::snooze(Duration::from_millis(10))),
            // More often than the policy allows, as often as the rule does.
            4..10 => Err(TaskError::failed("rate-limited", "slow down")),
            attempt => Ok(attempt),
        }
    });
    let mut limited = kind("demo.limited", limited);
    let special = Override { max_attempts: Some(7), ..Override::default() };
    limited.retry.rules.insert("rate-limited".to_owned(), Rule::Override(special));
    let _worker = place.work(vec![limited], config()).await;
    let id = place.producer.task("demo.limited", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("10")), "{view:?}");
    let failed = view.history.iter().find(|note| note.failure.is_some()).unwrap();
    let wait = failed.next_at.unwrap().since(failed.failure.as_ref().unwrap().at);
    assert_eq!(wait, Duration::from_millis(40), "the delay after a first failure");
}

async fn a_task_that_was_snoozed_for_years_may_still_fail_and_be_retried(place: Place) {
    const SNOOZES: u32 = 100_000;
    let fails_once = from_fn(|_: Value, execution: Execution| async move {
        let attempt = execution.order.attempt;
        if attempt == SNOOZES + 1 { Err(TaskError::failed("refused", "")) } else { Ok(attempt) }
    });
    let _worker = place.work(vec![kind("demo.poll", fails_once)], config()).await;
    let id = TaskId::mint();
    let mut task = Envelope::new(id, "demo.poll".parse().unwrap(), "null".into());
    (task.order.attempt, task.moving.snoozes) = (SNOOZES + 1, SNOOZES);
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let publish = Publish { to, wire: task.to_wire() };
    place.backend.broker.publish(&[publish]).await.remove(0).unwrap();
    let view = place.wait(id).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("100002")), "{view:?}");
}

async fn a_failure_with_a_very_long_class_is_retried_like_any_other(place: Place) {
    let class = "über".repeat(100);
    let fails_once = from_fn(move |_: Value, execution: Execution| {
        let class = class.clone();
        async move {
            let attempt = execution.order.attempt;
            if attempt == 1 { Err(TaskError::failed(class, "")) } else { Ok(attempt) }
        }
    });
    let _worker = place.work(vec![kind("demo.fail", fails_once)], config()).await;
    let id = place.producer.task("demo.fail", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 2));
}

async fn a_panic_is_a_failed_attempt_and_the_worker_lives_on(place: Place) {
    let panics = from_fn(|_: Value, execution: Execution| async move {
        assert!(execution.order.attempt > 1, "the first attempt panics");
        Ok(())
    });
    let _worker = place.work(vec![kind("demo.panic", panics)], config()).await;
    let id = place.producer.task("demo.panic", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 2));
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "panic");
    assert!(failure.message.contains("the first attempt panics"), "{}", failure.message);
}

async fn args_that_do_not_fit_are_a_failure_that_says_what_is_wrong(place: Place) {
    let typed = from_fn(|number: u32, _| async move { Ok(number) });
    let _worker = place.work(vec![kind("demo.typed", typed)], config()).await;
    let id = place.producer.task("demo.typed", "text").max_attempts(1).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!(view.state, TaskState::Dead);
    let failure = view.history[0].failure.as_ref().unwrap();
    assert_eq!(failure.class, "args");
    assert!(failure.message.contains("expected u32"), "{}", failure.message);
}

async fn the_soft_limit_asks_and_the_hard_limit_drops(place: Place) {
    let polite = from_fn(|_: Value, execution: Execution| async move {
        execution.cancel.cancelled().await;
        Ok("stopped in time")
    });
    let deaf = from_fn(|_: Value, _| async move {
        std::future::pending::<()>().await;
        Ok(())
    });
    let kinds = vec![kind("demo.polite", polite), kind("demo.deaf", deaf)];
    let _worker = place.work(kinds, config()).await;
    let short = Duration::from_millis(50);
    let polite = place.producer.task("demo.polite", &()).timeout(short).await.unwrap().id;
    let deaf =
        place.producer.task("demo.deaf", &()).timeout(short).max_attempts(1).await.unwrap().id;
    let view = place.wait(polite).await;
    assert_eq!(view.result.as_deref(), Some(r#""stopped in time""#));
    let view = place.wait(deaf).await;
    assert_eq!(view.state, TaskState::Dead);
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "timeout");
}

async fn handlers_that_block_every_thread_stop_no_heartbeat(place: Place) {
    let block = from_fn(|_: Value, _| async move {
        #[allow(
            clippy::disallowed_methods,
            reason = "a handler that blocks its thread is the test"
        )]
        std::thread::sleep(Duration::from_millis(1_500));
        Ok(())
    });
    let config = leveret_worker::Config { slots: 64, ..config() };
    let ttl = config.heartbeat_ttl;
    let _worker = place.work(vec![kind("demo.block", block)], config).await;
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(place.producer.task("demo.block", &()).max_attempts(1).await.unwrap().id);
    }
    // Longer than the TTL: a worker without heartbeats would be gone from the list meanwhile.
    let begun = std::time::Instant::now();
    while begun.elapsed() < ttl * 3 {
        assert_eq!(place.backend.fleet.workers().await.unwrap().len(), 1);
        tokio::time::sleep(ttl / 8).await;
    }
    let view = place.wait(ids[0]).await;
    assert_eq!(view.state, TaskState::Done);
}

async fn a_thousand_tasks_run_once_each(place: Place) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let journal = Arc::clone(&seen);
    let note = from_fn(move |number: u32, _| {
        journal.lock().unwrap().push(number);
        async move { Ok(()) }
    });
    let _worker = place.work(vec![kind("demo.note", note)], config()).await;
    let requests =
        (0..1_000_u32).map(|n| leveret_producer::Request::new("demo.note", &n)).collect();
    let answers = place.producer.enqueue_all(requests).await;
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().id).collect();
    for id in ids {
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1_000);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1_000);
}
