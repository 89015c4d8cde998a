//! What a receiver is told beside the args: all of it in headers.

use leveret_common::clock::Millis;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::super::Execution;
use super::signature::Signer;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TASK_ID: HeaderName = HeaderName::from_static("x-leveret-task-id");
const KIND: HeaderName = HeaderName::from_static("x-leveret-kind");
const ATTEMPT: HeaderName = HeaderName::from_static("x-leveret-attempt");
const MAX_ATTEMPTS: HeaderName = HeaderName::from_static("x-leveret-max-attempts");
const FENCE: HeaderName = HeaderName::from_static("x-leveret-fence");
const SCHEDULE: HeaderName = HeaderName::from_static("x-leveret-schedule");
const OCCURRENCE: HeaderName = HeaderName::from_static("x-leveret-occurrence");
const SIGNATURE: HeaderName = HeaderName::from_static("x-leveret-signature");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Returns the headers of the request of one attempt: the kind's, and Leveret's own over them.
pub(super) fn headers(
    of_kind: &HeaderMap,
    execution: &Execution,
    signer: &Signer,
    now: Millis,
) -> HeaderMap {
    let mut headers = of_kind.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let id = execution.id.to_string();
    let mut told = vec![
        // The same for each attempt: what the receiver has done under it, it need not do again.
        (IDEMPOTENCY_KEY, id.clone()),
        (TASK_ID, id),
        (KIND, execution.kind.to_string()),
        (ATTEMPT, execution.order.attempt.to_string()),
        (MAX_ATTEMPTS, execution.max_attempts.to_string()),
        (FENCE, execution.fence.0.to_string()),
    ];
    if let Some(occurrence) = &execution.occurrence {
        told.push((SCHEDULE, occurrence.schedule.clone()));
        told.push((OCCURRENCE, occurrence.to_rfc3339()));
    }
    // Baggage stays inside: it may hold what is nobody else's business.
    for name in [TRACEPARENT, TRACESTATE] {
        if let Some(value) = execution.trace.get(name.as_str()) {
            told.push((name, value.clone()));
        }
    }
    told.extend(signer.sign(now, &execution.args).map(|signature| (SIGNATURE, signature)));
    for (name, value) in told {
        // Names, numbers and ids always can be sent; what a foreign sender traced with may not.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers
}
