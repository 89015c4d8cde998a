//! Looks at a place without touching what rests there.
//!
//! The table knows every message that is not acked, memory knows which of them are handed out:
//! those up to the id that was read and not among the ready ones.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params};

use super::error::Failure;
use super::place::{Glance, OpenPlace};
use super::stored::enqueued_at;
use super::transaction::signed;
use crate::broker::Survey;
use crate::clock::Millis;

const DEPTH: &str = "SELECT
    (SELECT count(*) FROM message WHERE place = ?1 AND due_ms IS NULL)
    + (SELECT count(*) FROM message WHERE place = ?1 AND due_ms <= ?2)";
const FIRST: &str = "SELECT wire FROM message
    WHERE place = ?1 AND due_ms IS NULL AND id > ?2 ORDER BY id LIMIT 1";
/// What has fallen due and was not moved yet stands behind all that is there.
const FIRST_DUE: &str = "SELECT wire FROM message
    WHERE place = ?1 AND due_ms <= ?2 ORDER BY due_ms, id LIMIT 1";

/// Surveys the place called `name`; `open` where it was ever consumed.
pub(super) fn of(
    connection: &Connection,
    name: &str,
    open: Option<Arc<OpenPlace>>,
    now: Millis,
) -> Result<Survey, Failure> {
    let now = signed(now);
    let there: i64 = connection.prepare_cached(DEPTH)?.query_row((name, now), |row| row.get(0))?;
    let Glance { out, consumers, read_to, first } = open.map(|it| it.glance()).unwrap_or_default();
    let depth = u64::try_from(there).unwrap_or(0).saturating_sub(out);
    let head = match first {
        Some(head) => Some(head),
        None => match text(connection, FIRST, (name, read_to))? {
            Some(head) => Some(head),
            None => text(connection, FIRST_DUE, (name, now))?,
        },
    };
    Ok(Survey { depth, consumers, oldest: head.as_deref().and_then(enqueued_at) })
}

fn text(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Option<String>, Failure> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}
