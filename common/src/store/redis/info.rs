//! The server's answer to `INFO`, read by field.

use std::sync::Arc;

use deadpool_redis::redis::{Pipeline, RedisError, RedisResult, Value, from_redis_value};

use super::link::Link;
use crate::store::StoreError;

/// What the server says of itself.
#[derive(Debug)]
pub(super) struct Info(String);

impl Info {
    /// Asks for some sections; the inner error is the server's refusal.
    pub(super) async fn ask(
        link: &Arc<Link>,
        operation: &'static str,
        sections: &[&str],
    ) -> Result<Result<Self, RedisError>, StoreError> {
        let mut ask = Pipeline::with_capacity(sections.len());
        for section in sections {
            ask.cmd("INFO").arg(*section);
        }
        let replies: RedisResult<Vec<Value>> =
            link.run(operation, &ask).await?.into_iter().collect();
        Ok(replies.map(|sections| {
            let texts: Vec<String> =
                sections.into_iter().filter_map(|section| from_redis_value(section).ok()).collect();
            Self(texts.join("\r\n"))
        }))
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }
}

#[cfg(test)]
impl From<&str> for Info {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
