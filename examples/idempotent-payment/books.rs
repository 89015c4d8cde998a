//! The books of the shop: an SQLite file that says which order was paid by which receipt.
//!
//! Guards that an attempt which was taken over writes nothing any more: a row is changed only by a
//! fence that is no older than the one that wrote it.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};

/// The books; clones share one connection.
#[derive(Debug, Clone)]
pub struct Books(Arc<Mutex<Connection>>);

impl Books {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn at(file: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(include_str!("schema.sql"))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Writes down that an order is paid. To write the same again changes nothing.
    ///
    /// # Errors
    /// When the database fails, and when somebody with a younger fence was here before.
    pub fn write(
        &self,
        order: i64,
        receipt: &str,
        fence: u64,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fence = i64::try_from(fence)?;
        match connection.execute(include_str!("write.sql"), params![order, receipt, fence])? {
            0 => Err(format!("order {order} was written by a younger fence than {fence}").into()),
            _ => Ok(()),
        }
    }
}
