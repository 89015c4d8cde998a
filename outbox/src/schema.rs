//! The table that a sender's database needs, as SQL to be applied by whatever applies the sender's
//! own migrations.
//!
//! The files below `sql/` are the whole of it. One that was released is not changed any more: what
//! comes later is another file with the next number.

/// The SQL that a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL, 13 or newer.
    Postgres,
    /// SQLite, 3.38 or newer.
    Sqlite,
}

impl Dialect {
    /// Returns the statements that make the table, to be applied once.
    ///
    /// # Examples
    /// ```
    /// use leveret_outbox::Dialect;
    ///
    /// assert!(Dialect::Postgres.schema().contains("create function leveret_enqueue("));
    /// assert!(Dialect::Sqlite.schema().contains("create table leveret_outbox ("));
    /// ```
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Postgres => include_str!("../sql/postgres/0001_outbox.sql"),
            Self::Sqlite => include_str!("../sql/sqlite/0001_outbox.sql"),
        }
    }
}
