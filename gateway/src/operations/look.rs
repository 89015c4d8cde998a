//! One look at a server, shared by all who ask within a moment.
//!
//! Guards that asking how a server is cannot become a load on it: however many ask, one look is
//! under way at a time, and its answer stands for a while.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The last look at one server.
#[derive(Debug, Default)]
pub(crate) struct Look(Mutex<Option<(Instant, Result<(), String>)>>);

impl Look {
    /// Answers with the last look if it is no older than `age`, else looks now for at most `limit`.
    ///
    /// # Cancel safety
    /// Dropped, whoever asks next looks.
    pub(crate) async fn at<E: std::fmt::Display>(
        &self,
        age: Duration,
        limit: Duration,
        check: impl Future<Output = Result<(), E>>,
    ) -> Result<(), String> {
        let mut last = self.0.lock().await;
        if let Some((at, seen)) = &*last
            && at.elapsed() < age
        {
            return seen.clone();
        }
        let seen = match timeout(limit, check).await {
            Ok(seen) => seen.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        };
        *last = Some((Instant::now(), seen.clone()));
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_share_one_look() {
        let (look, looked) = (Look::default(), AtomicU32::new(0));
        let check = || async {
            looked.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>("away")
        };
        let minute = Duration::from_secs(60);
        let asked = (0..50).map(|_| look.at(minute, minute, check()));
        let seen = futures_util::future::join_all(asked).await;
        assert!(seen.iter().all(|seen| seen.as_ref().is_err_and(|why| why == "away")));
        assert_eq!(looked.load(Ordering::SeqCst), 1);
        let _seen = look.at(Duration::ZERO, minute, check()).await;
        assert_eq!(looked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_look_that_takes_too_long_is_a_bad_one() {
        let never = std::future::pending::<Result<(), String>>();
        let seen = Look::default().at(Duration::ZERO, Duration::from_millis(1), never).await;
        assert!(seen.unwrap_err().contains("no answer within"));
    }
}
