//! A list that the gateway tells page by page, printed as it comes or at its end.

use serde_json::Value;

use crate::client::{Client, part};
use crate::error::Error;
use crate::report::{self, Format};

/// Where a list comes from and how it is shown.
pub(super) struct Pages<'a> {
    /// What is done, as a failure says it.
    pub(super) operation: &'static str,
    pub(super) path: &'static str,
    /// What is asked beside `limit` and `cursor`: `&source=api`.
    pub(super) query: String,
    /// The member of the answer that holds the entries.
    pub(super) member: &'static str,
    /// Most entries that one request asks for.
    pub(super) page: u64,
    pub(super) columns: &'a [&'a str],
    /// Makes an entry a row of a table.
    pub(super) row: fn(Value) -> Value,
}

/// What was printed.
pub(super) struct Printed {
    /// Whether there was nothing at all.
    pub(super) nothing: bool,
    /// Whether there is more than was asked for.
    pub(super) more: bool,
}

impl Pages<'_> {
    /// Prints at most `limit` entries.
    ///
    /// # Cancel safety
    /// Only asks; what was printed is printed.
    pub(super) async fn print(
        &self,
        limit: u64,
        client: &Client,
        format: Format,
    ) -> Result<Printed, Error> {
        let mut listed: Vec<Value> = Vec::new();
        let mut left = limit;
        let mut cursor: Option<String> = None;
        while left > 0 {
            let mut path = format!("{}?limit={}{}", self.path, left.min(self.page), self.query);
            if let Some(cursor) = &cursor {
                path.push_str(&format!("&cursor={}", part(cursor)));
            }
            let mut page = client.get(self.operation, &path).await?;
            let entries = match page[self.member].take() {
                Value::Array(entries) => entries,
                _ => Vec::new(),
            };
            left = left.saturating_sub(entries.len() as u64);
            match format {
                // As it comes: a million entries need not be held at once.
                Format::Jsonl => report::rows(format, self.columns, &entries)?,
                Format::Json => listed.extend(entries),
                Format::Table => listed.extend(entries.into_iter().map(self.row)),
            }
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        if format != Format::Jsonl {
            report::rows(format, self.columns, &listed)?;
        }
        Ok(Printed { nothing: left == limit, more: cursor.is_some() })
    }
}
