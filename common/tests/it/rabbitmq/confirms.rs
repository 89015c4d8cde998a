//! What a publish was answered for is there: counted where it rests, after the answers.

use leveret_common::broker::{Broker, Publish, PublishError};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::VirtualHost;
use serde_json::json;

use super::{Fixture, SOON, place, to, wire};

/// More than a queue for one message takes before it notices that it is full, as a rule.
const MANY: usize = 300;

impl Fixture {
    /// Publishes many messages and tells how many were accepted.
    async fn accepted(&self) -> usize {
        let batch: Vec<_> =
            (0..MANY).map(|n| Publish { to: to("mail"), wire: wire(&n.to_string()) }).collect();
        let answers = self.broker.publish(&batch).await;
        let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
        for error in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(error, PublishError::Rejected(_)), "{error:?}");
        }
        accepted
    }

    async fn holds(&self, least: usize) {
        let what = format!("all of {least} accepted messages are there");
        eventually(SOON, &what, || async {
            let surveyed = self.broker.survey(&[place("mail")]).await.unwrap();
            usize::try_from(surveyed[0].depth).unwrap() >= least
        })
        .await;
    }
}

pub(super) async fn what_is_accepted_by_a_queue_that_is_full_is_there(host: VirtualHost) {
    let on = Fixture::new(host).await;
    on.publish(to("mail"), "first").await.unwrap();
    let policy = json!({"pattern": format!("^{}[.]lane", on.namespace),
        "definition": {"max-length": 1}, "apply-to": "queues"});
    let path = format!("/api/policies/{}/{}", on.host.name, on.namespace);
    on.call("PUT", &path, policy).await;
    let (mut all, mut is_full) = (1, false);
    // The queue notices that it is full a moment after it is.
    while !is_full {
        let accepted = on.accepted().await;
        all += accepted;
        is_full = accepted < MANY;
        on.holds(all).await;
    }
}

pub(super) async fn what_is_accepted_after_its_queue_was_deleted_is_there(host: VirtualHost) {
    let on = Fixture::new(host).await;
    on.publish(to("mail"), "first").await.unwrap();
    on.delete("queues", "lane.mail.normal").await;
    let accepted = on.accepted().await;
    assert_eq!(accepted, MANY);
    // Whose confirm carried another's return was repeated: there may be copies.
    on.holds(accepted).await;
}
