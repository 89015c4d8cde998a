//! The rows of an outbox in an SQLite file: taken, marked and counted by one connection.
//!
//! An SQLite column takes a value of any type, and text that is no UTF-8. Whatever an application wrote is
//! read here, and what makes no sense is the defect of its row and of no other.

use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql};

use crate::relay::source::{Fate, MOST_COUNTED, MOST_SHOWN, Refused, Row, Survey};

const TAKE: &str = include_str!("../../../sql/sqlite/relay/take.sql");
const DELETE: &str = "delete from leveret_outbox where seq = ?1";
const SENT: &str = include_str!("../../../sql/sqlite/relay/sent.sql");
const REFUSED: &str = include_str!("../../../sql/sqlite/relay/refused.sql");
const WAITS: &str = include_str!("../../../sql/sqlite/relay/waits.sql");
const SURVEY: &str = include_str!("../../../sql/sqlite/relay/survey.sql");
const TROUBLED: &str = include_str!("../../../sql/sqlite/relay/troubled.sql");

/// How many bytes of args and options are taken at once, unless one row has more.
const MOST_BYTES: usize = 16 << 20;

/// Kind, args and options as they are in the file, whatever their types.
pub(super) type Content = [Stored; 3];

/// Takes rows that wait, the first ones first, with what is in the file.
pub(super) fn take(connection: &Connection, most: u32) -> rusqlite::Result<Vec<(Row, Content)>> {
    let mut statement = connection.prepare_cached(TAKE)?;
    let (mut rows, mut taken, mut bytes) = (statement.query([most])?, Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (row, content) = read(row)?;
        bytes += row.args.len() + row.options.len();
        // The first is taken however large it is.
        if bytes > MOST_BYTES && !taken.is_empty() {
            break;
        }
        taken.push((row, content));
    }
    Ok(taken)
}

/// Reads a row, whatever its values are: what makes no sense becomes its defect.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Row, Content)> {
    let mut content: Content = Default::default();
    let mut defect = None;
    let mut texts = [const { String::new() }; 4];
    for ((place, name), told) in (1..).zip(["id", "kind", "args", "options"]).zip(&mut texts) {
        let value = row.get_ref(place)?;
        if matches!(value, ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err()) {
            defect = Some(format!("{name} is not UTF-8; write the row again"));
        }
        *told = text(value);
        if let Some(kept) = place.checked_sub(2).and_then(|place| content.get_mut(place)) {
            *kept = Stored::of(value);
        }
    }
    let age: Option<i64> = row.get(5)?;
    if age.is_none() {
        let why = "created_at is no number; write whole milliseconds since 1970";
        defect = Some(why.to_owned());
    }
    let age = Duration::from_millis(u64::try_from(age.unwrap_or_default()).unwrap_or_default());
    let tries = u32::try_from(row.get::<_, i64>(6)?.max(0)).unwrap_or(u32::MAX);
    let [id, kind, args, options] = texts;
    Ok((Row { seq: row.get(0)?, id, kind, args, options, age, tries, defect }, content))
}

/// A value as it is in the file, text that is not UTF-8 included.
#[derive(Debug)]
pub(super) enum Stored {
    Text(Vec<u8>),
    Other(Value),
}

impl Default for Stored {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

impl Stored {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::default(),
            ValueRef::Integer(number) => Self::Other(Value::Integer(number)),
            ValueRef::Real(number) => Self::Other(Value::Real(number)),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Other(Value::Blob(bytes.to_vec())),
        }
    }
}

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Other(value) => value.into(),
        }))
    }
}

/// Reads what a sender wrote, whatever its type: what is no JSON then is refused as such.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

/// Writes down what became of a row; a refusal is of the content that was taken, and not of what replaced it.
pub(super) fn mark(
    connection: &Connection,
    seq: i64,
    fate: Fate,
    content: Content,
    deletes: bool,
) -> rusqlite::Result<()> {
    let [kind, args, options] = content;
    match fate {
        Fate::Sent if deletes => connection.prepare_cached(DELETE)?.execute([seq])?,
        Fate::Sent => connection.prepare_cached(SENT)?.execute([seq])?,
        Fate::Refused(problem) => {
            connection.prepare_cached(REFUSED)?.execute((seq, problem, kind, args, options))?
        }
        Fate::Waits { problem, wait } => {
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            connection.prepare_cached(WAITS)?.execute((seq, problem, wait))?
        }
    };
    Ok(())
}

/// Counts what there is, and shows rows in trouble.
pub(super) fn survey(connection: &Connection) -> rusqlite::Result<Survey> {
    let counted = connection.prepare_cached(SURVEY)?.query_row([MOST_COUNTED], |row| {
        let count = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
        let oldest = row.get::<_, Option<i64>>(3)?;
        let oldest = oldest.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
        let (waiting, failing, refused) = (count(0)?, count(1)?, count(2)?);
        Ok(Survey { waiting, failing, refused, oldest, troubled: Vec::new() })
    })?;
    let mut statement = connection.prepare_cached(TROUBLED)?;
    let troubled = statement.query_map([MOST_SHOWN, MOST_COUNTED], |row| {
        let [kind, problem] = [text(row.get_ref(1)?), text(row.get_ref(2)?)];
        Ok(Refused { seq: row.get(0)?, kind, problem, is_final: row.get(3)? })
    })?;
    Ok(Survey { troubled: troubled.collect::<rusqlite::Result<_>>()?, ..counted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_by_its_bytes_and_has_a_row_at_least() {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch(crate::Dialect::Sqlite.schema()).unwrap();
        for bytes in [MOST_BYTES + 1, 9 << 20, 9 << 20] {
            let args = format!("\"{}\"", "x".repeat(bytes));
            let insert = "insert into leveret_outbox (kind, args) values ('a.b', ?1)";
            file.execute(insert, [args]).unwrap();
        }
        assert_eq!(take(&file, 500).unwrap().len(), 1);
        file.execute(DELETE, [1]).unwrap();
        assert_eq!(take(&file, 500).unwrap().len(), 1);
    }
}
