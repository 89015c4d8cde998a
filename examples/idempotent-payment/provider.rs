//! A payment provider as there are many: who repeats a request under the same key gets the first answer.
//!
//! It stands for a server of somebody else's, so it keeps what it knows in a file of its own, and takes
//! its time to answer.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// How long the first answer takes: long enough to kill somebody who waits for it.
const SLOW: Duration = Duration::from_secs(30);

/// The provider, by its log: a line for each request.
#[derive(Debug, Clone)]
pub struct Provider(PathBuf);

impl Provider {
    /// Opens the connection to it.
    pub fn at(log: impl Into<PathBuf>) -> Self {
        Self(log.into())
    }

    /// Takes the money, unless it was taken under this key before, and returns the receipt.
    ///
    /// # Errors
    /// When it is out of order.
    pub fn charge(&self, key: &str, cents: u64) -> io::Result<String> {
        let receipt = format!("receipt-{}", &key[..8]);
        let charged = format!("charged {cents} cents under {key}\n");
        let mut log = OpenOptions::new().create(true).append(true).open(&self.0)?;
        if std::fs::read_to_string(&self.0)?.contains(&charged) {
            log.write_all(format!("asked again under {key}: nothing charged\n").as_bytes())?;
            return Ok(receipt);
        }
        log.write_all(charged.as_bytes())?;
        sleep(SLOW); // the money is taken, the answer is on its way
        Ok(receipt)
    }
}
