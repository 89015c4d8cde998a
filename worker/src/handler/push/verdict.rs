//! What an answer means for the task.

use std::time::Duration;

use leveret_common::clock::Millis;
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::super::output::{MAX_TOLD, cut_result};
use super::super::{MAX_RESULT, Reply, TaskError};
use super::retry_after;

/// Longest place of a redirection that is told, in characters.
const MAX_LOCATION: usize = 500;
/// How long to wait for what a failure says of itself: the status has been said already.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Reads an answer and decides: done, dead, or a failure that is retried by policy or when the
/// receiver wants it.
///
/// # Cancel safety
/// Dropped, the connection is closed.
pub(super) async fn judge(
    mut response: Response,
    name: &str,
    now: Millis,
) -> Result<Reply, TaskError> {
    let status = response.status();
    if status.is_success() {
        let mut body = Vec::new();
        // Of more, nothing is kept: the receiver has done it, and is not asked again for a shorter
        // answer.
        if let Err(error) = fill(&mut response, &mut body, MAX_RESULT + 1).await {
            let why = format!("POST {name}: {status}, and the answer broke off: {error}");
            return Err(TaskError::failed("connection", why));
        }
        return Ok(Reply { result: cut_result(&body), ..Reply::default() });
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = header(RETRY_AFTER).and_then(|value| retry_after::wait(value, now));
    let elsewhere = header(LOCATION).filter(|_| status.is_redirection()).map(without_query);
    let mut body = Vec::new();
    // The page of a redirection says where to once more, with all that may be secret in it.
    if !status.is_redirection() {
        let _ = timeout(LAST_WORDS, fill(&mut response, &mut body, MAX_TOLD)).await;
        body.truncate(MAX_TOLD);
    }
    let mut message = format!("POST {name}: {status}");
    if let Some(elsewhere) = elsewhere {
        message = format!("{message} to {elsewhere}, which is not followed; mend `http`");
    }
    let said = String::from_utf8_lossy(&body);
    if !said.trim().is_empty() {
        message = format!("{message}: {}", said.trim());
    }
    let class = format!("http-{}", status.as_u16());
    Err(match (comes_again(status), asked) {
        (Again::Never, _) => TaskError::Dead { class, message },
        (Again::WhenAsked, Some(after)) => TaskError::RetryIn { after, class, message },
        (Again::WhenAsked, None) | (Again::ByPolicy, _) => TaskError::Failed { class, message },
    })
}

/// Returns a place as messages show it: no longer than is of use, and without what may be a secret.
fn without_query(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    path.chars().take(MAX_LOCATION).collect()
}

enum Again {
    Never,
    WhenAsked,
    ByPolicy,
}

fn comes_again(status: StatusCode) -> Again {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Again::WhenAsked
        }
        _ if status.is_server_error() => Again::WhenAsked,
        _ if status.is_client_error() => Again::Never,
        // A redirection, most often: somebody has to mend the URL, and has the time of all retries.
        _ => Again::ByPolicy,
    }
}

/// Reads on until the end, or until there are `most` bytes.
async fn fill(
    response: &mut Response,
    body: &mut Vec<u8>,
    most: usize,
) -> Result<(), reqwest::Error> {
    while body.len() < most {
        let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? else {
            return Ok(());
        };
        body.extend_from_slice(&chunk);
    }
    Ok(())
}
