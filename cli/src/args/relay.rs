//! The arguments of `leveret relay …`.

use clap::{Subcommand, ValueEnum};
use leveret_outbox::Dialect;

#[derive(Debug, Subcommand)]
pub(crate) enum RelayCommand {
    /// Prints the SQL that makes the outbox, to be applied once to your application's database
    Schema {
        /// The database's language
        #[arg(long = "for", value_enum, value_name = "DATABASE")]
        database: Database,
    },
    /// Shows what lies in the outbox, and the rows in trouble
    Status,
}

/// A database that an outbox can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Database {
    Postgres,
    Sqlite,
}

impl From<Database> for Dialect {
    fn from(database: Database) -> Self {
        match database {
            Database::Postgres => Self::Postgres,
            Database::Sqlite => Self::Sqlite,
        }
    }
}
