//! Charges for orders. However often a worker dies over one of them, the customer pays once.
//!
//! A handler may run twice: its worker can die after the money was taken and before that was written
//! down. Two things that every attempt has make this harmless. The task's *id* is the same in each
//! attempt, so it is the idempotency key for the provider. The *fence* grows with each attempt to get
//! hold of the task, so the books refuse whoever was given up for dead and comes back late.

mod books;
mod provider;

use leveret::prelude::*;
use serde::{Deserialize, Serialize};

use crate::books::Books;
use crate::provider::Provider;

#[derive(Serialize, Deserialize, Task)]
#[task(kind = "payment.charge", max_attempts = 10, timeout = "1m")]
struct Charge {
    order: i64,
    cents: u64,
}

/// What the handlers of this program work with.
#[derive(Clone)]
struct Shop {
    provider: Provider,
    books: Books,
}

/// Charges once and writes it down. It blocks, so it is no async fn and has a thread to itself.
fn charge(
    args: Charge,
    id: TaskId,
    fence: Fence,
    State(shop): State<Shop>,
) -> Result<String, TaskError> {
    let receipt = shop.provider.charge(&id.to_string(), args.cents)?;
    shop.books.write(args.order, &receipt, fence.0)?;
    Ok(receipt)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    std::fs::write("payment.pid", std::process::id().to_string())?; // for the kill in the README
    let shop = Shop { provider: Provider::at("provider.log"), books: Books::at("shop.db")? };
    let handlers = Handlers::new().state(shop).handle_blocking(charge);
    Ok(leveret::dev(handlers).await?)
}
