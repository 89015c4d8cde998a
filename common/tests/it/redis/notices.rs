//! What Celery clients are told: where, for how long, and that nothing depends on it.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::ledger::Failure;
use leveret_common::spawn::Spawner;
use leveret_common::store::redis::{CeleryResults, Config, Redis};
use leveret_common::store::{News, Notice, Records, Retention};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::fresh_namespace;

use super::bare::{Bare, Reply, start};
use super::{HOUR, both, patient};

fn notice(to: &str, ttl: Option<Duration>) -> Notice {
    let news = News::Done(Some("[1]".to_owned()));
    Notice { to: to.to_owned(), at: Millis(1_790_000_000_000), news, ttl }
}

#[tokio::test]
async fn a_notice_is_kept_as_long_as_a_result_unless_the_task_says_otherwise() {
    for url in both() {
        let fixture = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let ids = [TaskId::mint().to_string(), format!("order {}", TaskId::mint())];
        let notices = [
            notice(&format!("celery:{}", ids[0]), None),
            notice("elsewhere:7", None),
            notice(&format!("celery:{}", ids[1]), Some(HOUR / 2)),
        ];
        fixture.redis.notify(&notices).await.unwrap();
        for (id, kept) in ids.iter().zip([2 * HOUR, HOUR / 2]) {
            let key = format!("celery-task-meta-{id}");
            let text = bare.ask(&["GET", &key]).text().unwrap();
            let expected = format!(
                "{{\"status\":\"SUCCESS\",\"result\":[1],\"traceback\":null,\"children\":[],\
                 \"date_done\":\"2026-09-21T14:13:20.000000+00:00\",\"task_id\":\"{id}\"}}"
            );
            assert_eq!(text, expected);
            let left =
                Duration::from_millis(bare.ask(&["PTTL", &key]).number().unwrap().unsigned_abs());
            assert!(left <= kept && left > kept - Duration::from_secs(60), "{left:?}");
            bare.ask(&["DEL", &key]);
        }
        assert!(matches!(bare.ask(&["GET", "celery-task-meta-elsewhere:7"]), Reply::Nil));
    }
}

#[tokio::test]
async fn a_retry_that_is_told_late_takes_no_result_back() {
    for url in both() {
        let fixture = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let id = TaskId::mint();
        let failure = Failure {
            class: "refused".to_owned(),
            message: "no answer".to_owned(),
            at: Millis(1_790_000_000_000),
        };
        let retrying =
            Notice { news: News::Retrying(failure), ..notice(&format!("celery:{id}"), None) };
        let key = format!("celery-task-meta-{id}");
        let mut told = |what: &str| {
            let text = bare.ask(&["GET", &key]).text().unwrap();
            assert!(text.starts_with(&format!("{{\"status\":\"{what}\",")), "{text}");
        };
        fixture.redis.notify(std::slice::from_ref(&retrying)).await.unwrap();
        told("RETRY");
        fixture.redis.notify(&[notice(&retrying.to, None)]).await.unwrap();
        told("SUCCESS");
        fixture.redis.notify(&[retrying]).await.unwrap();
        told("SUCCESS");
        bare.ask(&["DEL", &key]);
    }
}

async fn with_results(store: &str, results: CeleryResults) -> std::sync::Arc<Redis> {
    let config = Config {
        url: store.to_owned(),
        namespace: fresh_namespace(),
        response_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        retention: Retention { record: HOUR, result: HOUR },
    };
    Redis::connect_with(config, results, &Spawner::new()).await.unwrap()
}

#[tokio::test]
async fn nobody_is_told_where_that_is_turned_off() {
    for url in both() {
        let redis = with_results(&url, CeleryResults::Off).await;
        let id = TaskId::mint();
        redis.notify(&[notice(&format!("celery:{id}"), None)]).await.unwrap();
        let key = format!("celery-task-meta-{id}");
        assert!(matches!(Bare::connect(&url).ask(&["GET", &key]), Reply::Nil));
    }
}

#[tokio::test]
async fn a_redis_for_results_may_come_later_and_its_url_must_be_one() {
    for url in both() {
        let Some(mut later) = start(&[]).await else { return };
        later.kill().await.unwrap();
        let redis = with_results(&url, CeleryResults::At(later.url())).await;
        let notices = [notice("celery:late", None)];
        let error = redis.notify(&notices).await.unwrap_err();
        assert!(
            error.retryable() && error.to_string().contains("correct celery.results_url"),
            "{error}"
        );
        later.start_again().await.unwrap();
        eventually(Duration::from_secs(30), "it is found", || async {
            redis.notify(&notices).await.is_ok()
        })
        .await;
        let mut bare = Bare::connect(&later.url());
        assert!(bare.ask(&["GET", "celery-task-meta-late"]).text().is_some());
        let mut store = Bare::connect(&url);
        assert!(matches!(store.ask(&["GET", "celery-task-meta-late"]), Reply::Nil));
    }
}

#[tokio::test]
async fn a_user_with_set_and_publish_on_celerys_names_is_enough() {
    for url in both() {
        let Some(server) = start(&[]).await else { return };
        let mut bare = Bare::connect(&server.url());
        let mut allow = |keys: &str, channels: &str| {
            let rules = ["on", ">pw", "resetkeys", keys, "resetchannels", channels];
            let commands = ["-@all", "+set", "+publish", "+@connection"];
            bare.ask(&[&["ACL", "SETUSER", "teller"][..], &rules, &commands].concat());
        };
        allow("~celery-task-meta-*", "&celery-task-meta-*");
        let with_user = server.url().replace("redis://", "redis://teller:pw@");
        let redis = with_results(&url, CeleryResults::At(with_user)).await;
        let notices = [notice("celery:allowed", None)];
        eventually(Duration::from_secs(30), "it is told", || async {
            redis.notify(&notices).await.is_ok()
        })
        .await;
        allow("~celery-task-meta-*", "&other");
        let error = redis.notify(&notices).await.unwrap_err();
        assert!(error.to_string().contains("extend its ACL"), "{error}");
    }
}
