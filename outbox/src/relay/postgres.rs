//! The outbox in PostgreSQL: rows are taken under row locks, in a transaction that ends with their
//! marks.
//!
//! A relay that dies lets go by itself, because its locks end with its connection; where nobody
//! notices that it is gone, the server ends an idle transaction after [`ABANDONED`]. Other relays
//! pass over what is locked. One connection does all, `LISTEN` included.

use std::time::Duration;

use async_trait::async_trait;
use leveret_common::spawn::Spawner;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::error::RelayError;
use super::line::Line;
use super::source::{
    Fate, MOST_COUNTED, MOST_PRUNED, MOST_SHOWN, Mark, Refused, Row, Source, Survey,
};
use crate::postgres::told;

/// After how long the server gives up on a transaction in which nothing happens. Far above what a
/// batch takes, whose publishes have deadlines of their own.
const ABANDONED: &str = "set idle_in_transaction_session_timeout = '120s'";
/// How long one statement may take.
const PATIENCE: Duration = Duration::from_secs(60);

const TAKE: &str = include_str!("../../sql/postgres/relay/take.sql");
const DELETE: &str = "delete from leveret_outbox where seq = any($1)";
const SENT: &str =
    "update leveret_outbox set sent_at = clock_timestamp(), problem = null where seq = any($1)";
const REFUSED: &str = include_str!("../../sql/postgres/relay/refused.sql");
const WAITS: &str = include_str!("../../sql/postgres/relay/waits.sql");
const PRUNE: &str = include_str!("../../sql/postgres/relay/prune.sql");
const SURVEY: &str = include_str!("../../sql/postgres/relay/survey.sql");
const TROUBLED: &str = include_str!("../../sql/postgres/relay/troubled.sql");

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// An outbox that is open.
pub(super) struct Postgres {
    line: Line,
    endpoint: String,
    kept: Duration,
    is_in_transaction: bool,
}

impl Postgres {
    /// Connects and looks whether the table can be used.
    pub(super) async fn open(
        server: &tokio_postgres::Config,
        endpoint: String,
        kept: Duration,
        spawner: &Spawner,
    ) -> Result<Self, RelayError> {
        let line = Line::open(server, &endpoint, spawner).await?;
        let outbox = Self { line, endpoint, kept, is_in_transaction: false };
        outbox.batch("set up the session", ABANDONED).await?;
        // Before the first look, so that nothing is committed between the two unnoticed.
        outbox.batch("listen", "listen leveret_outbox").await?;
        Ok(outbox)
    }

    async fn batch(&self, operation: &'static str, sql: &str) -> Result<(), RelayError> {
        self.told(operation, timeout(PATIENCE, self.line.client.batch_execute(sql)).await)
    }

    async fn query(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, RelayError> {
        self.told(operation, timeout(PATIENCE, self.line.client.query_typed(sql, parameters)).await)
    }

    fn told<T>(
        &self,
        operation: &'static str,
        answer: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, RelayError> {
        let endpoint = self.endpoint.clone();
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                Err(RelayError::NoTable { endpoint, dialect: "postgres" })
            }
            Ok(Err(error)) => {
                let why = told(&error);
                Err(RelayError::Operation { operation, endpoint, why, source: Some(error.into()) })
            }
            Err(_) => {
                let why = format!("no answer within {PATIENCE:?}");
                Err(RelayError::Operation { operation, endpoint, why, source: None })
            }
        }
    }

    /// Ends the transaction, if there is one, as if it had not been.
    async fn let_go(&mut self) -> Result<(), RelayError> {
        if std::mem::take(&mut self.is_in_transaction) {
            self.batch("let go of rows", "rollback").await?;
        }
        Ok(())
    }

    fn unreadable(&self, error: tokio_postgres::Error) -> RelayError {
        let (operation, endpoint) = ("read rows", self.endpoint.clone());
        RelayError::Operation { operation, endpoint, why: told(&error), source: Some(error.into()) }
    }
}

#[async_trait]
impl Source for Postgres {
    async fn take(&mut self, most: u32) -> Result<Vec<Row>, RelayError> {
        self.let_go().await?;
        self.batch("begin to take rows", "begin").await?;
        self.is_in_transaction = true;
        let most = i64::from(most);
        let found = self.query("take rows", TAKE, &[(&most, Type::INT8)]).await?;
        let rows: Result<Vec<Row>, _> = found.iter().map(read).collect();
        let rows = rows.map_err(|error| self.unreadable(error))?;
        if rows.is_empty() {
            self.let_go().await?;
        }
        Ok(rows)
    }

    async fn mark(&mut self, marks: Vec<Mark>) -> Result<(), RelayError> {
        let Marks { sent, refused, waiting } = Marks::sort(&marks);
        if !sent.is_empty() {
            let sql = if self.kept.is_zero() { DELETE } else { SENT };
            self.query("mark rows as sent", sql, &[(&sent, Type::INT8_ARRAY)]).await?;
        }
        if !refused.0.is_empty() {
            let (rows, problems) = &refused;
            let parameters: [Parameter<'_>; 2] =
                [(rows, Type::INT8_ARRAY), (problems, Type::TEXT_ARRAY)];
            self.query("mark rows as refused", REFUSED, &parameters).await?;
        }
        if !waiting.0.is_empty() {
            let (rows, problems, waits) = &waiting;
            let parameters: [Parameter<'_>; 3] = [
                (rows, Type::INT8_ARRAY),
                (problems, Type::TEXT_ARRAY),
                (waits, Type::FLOAT8_ARRAY),
            ];
            self.query("have rows wait", WAITS, &parameters).await?;
        }
        leveret_common::failpoint::pass("relay.marking");
        self.batch("commit what became of rows", "commit").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    async fn wait(&mut self, longest: Duration) -> Result<(), RelayError> {
        tokio::select! {
            () = self.line.woken.notified() => Ok(()),
            () = tokio::time::sleep(longest) => Ok(()),
            () = self.line.gone.cancelled() => Err(RelayError::Connect {
                endpoint: self.endpoint.clone(),
                why: "the connection is gone".to_owned(),
                source: None,
            }),
        }
    }

    async fn prune(&mut self) -> Result<bool, RelayError> {
        let kept = self.kept.as_secs_f64();
        let parameters: [Parameter<'_>; 2] = [(&kept, Type::FLOAT8), (&MOST_PRUNED, Type::INT8)];
        let pruned = self.query("delete rows that were sent", PRUNE, &parameters).await?;
        let count: i64 = match pruned.first() {
            Some(row) => row.try_get(0).map_err(|error| self.unreadable(error))?,
            None => 0,
        };
        Ok(count >= MOST_PRUNED)
    }

    async fn survey(&mut self) -> Result<Survey, RelayError> {
        let counted = self.query("count rows", SURVEY, &[(&MOST_COUNTED, Type::INT8)]).await?;
        let parameters: [Parameter<'_>; 2] =
            [(&MOST_SHOWN, Type::INT8), (&MOST_COUNTED, Type::INT8)];
        let troubled = self.query("look at rows in trouble", TROUBLED, &parameters).await?;
        let survey = || -> Result<Survey, tokio_postgres::Error> {
            let mut survey = Survey::default();
            if let Some(row) = counted.first() {
                let count = |place| row.try_get::<_, i64>(place).map(i64::unsigned_abs);
                (survey.waiting, survey.failing, survey.refused) =
                    (count(0)?, count(1)?, count(2)?);
                survey.oldest = row.try_get::<_, Option<f64>>(3)?.map(seconds);
            }
            for row in &troubled {
                survey.troubled.push(Refused {
                    seq: row.try_get(0)?,
                    kind: row.try_get(1)?,
                    problem: row.try_get(2)?,
                    is_final: row.try_get(3)?,
                });
            }
            Ok(survey)
        };
        survey().map_err(|error| self.unreadable(error))
    }

    fn stands_by(&self) -> bool {
        false
    }
}

fn read(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    Ok(Row {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        kind: row.try_get(2)?,
        args: row.try_get(3)?,
        options: row.try_get(4)?,
        age: seconds(row.try_get(5)?),
        tries: row.try_get::<_, i32>(6)?.unsigned_abs(),
        defect: None,
    })
}

/// A row may be written under a clock that is set back meanwhile.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

/// Marks by what they say, as columns.
#[derive(Default)]
struct Marks {
    sent: Vec<i64>,
    refused: (Vec<i64>, Vec<String>),
    waiting: (Vec<i64>, Vec<String>, Vec<f64>),
}

impl Marks {
    fn sort(marks: &[Mark]) -> Self {
        let mut sorted = Self::default();
        // The one character that PostgreSQL's text cannot hold.
        let text = |problem: &String| problem.replace('\0', "\u{fffd}");
        for Mark { row, fate } in marks {
            match fate {
                Fate::Sent => sorted.sent.push(row.seq),
                Fate::Refused(problem) => {
                    sorted.refused.0.push(row.seq);
                    sorted.refused.1.push(text(problem));
                }
                Fate::Waits { problem, wait } => {
                    sorted.waiting.0.push(row.seq);
                    sorted.waiting.1.push(text(problem));
                    sorted.waiting.2.push(wait.as_secs_f64());
                }
            }
        }
        sorted
    }
}
