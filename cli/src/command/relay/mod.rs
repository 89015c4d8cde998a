//! `leveret relay`: without a verb the role itself, with one what people ask about an outbox. The
//! verbs need no gateway: they print SQL, or look into the outbox themselves.

mod role;
mod status;

use leveret_outbox::Dialect;

use crate::args::RelayCommand;
use crate::assemble::Given;
use crate::error::Error;
use crate::report;
use crate::signals::Signals;

/// Hands rows on, or a command on the outbox.
///
/// # Cancel safety
/// Dropped, rows that were taken wait again.
pub(super) async fn run(
    verb: Option<RelayCommand>,
    given: impl FnOnce() -> Result<Given, Error>,
) -> Result<(), Error> {
    match verb {
        None => {
            let signals = Signals::catch()?;
            role::run(given()?, signals).await
        }
        Some(RelayCommand::Schema { database }) => {
            Ok(report::write(Dialect::from(database).schema())?)
        }
        Some(RelayCommand::Status) => {
            let given = given()?;
            status::run(&given.settings, given.format).await
        }
    }
}
