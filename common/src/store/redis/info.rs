//! The server's answer to `INFO`, read by field.

use std::sync::Arc;

use deadpool_redis::redis::{RedisError, RedisResult, Value, cmd, from_redis_value};

use super::link::Link;
use crate::store::StoreError;

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct Info {
    /// Which of several servers it is.
    pub(super) node: Option<String>,
    text: String,
}

impl Info {
    /// Asks every server that has keys; the inner error is a server's refusal.
    pub(super) async fn ask(
        link: &Arc<Link>,
        operation: &'static str,
    ) -> Result<Result<Vec<Self>, RedisError>, StoreError> {
        let answers = link.ask_each(operation, &cmd("INFO")).await?;
        let read = |(node, answer): (Option<String>, RedisResult<Value>)| {
            Ok(Self { node, text: from_redis_value(answer?)? })
        };
        Ok(answers.into_iter().map(read).collect())
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }
}

#[cfg(test)]
impl From<&str> for Info {
    fn from(text: &str) -> Self {
        Self { node: None, text: text.to_owned() }
    }
}
