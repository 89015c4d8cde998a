//! Args that name no kind, and args that cannot be read.

use leveret_worker::handler::Handlers;
use leveret_worker::{Task, TaskError};

#[derive(serde::Deserialize)]
struct Nameless;

#[derive(Task)]
#[task(kind = "unreadable")]
struct Unreadable;

async fn nameless(_: Nameless) -> Result<(), TaskError> {
    Ok(())
}

async fn unreadable(_: Unreadable) -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    let _ = Handlers::new().handle(nameless);
    let _ = Handlers::new().handle(unreadable);
}
