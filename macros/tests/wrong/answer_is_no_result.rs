//! Answers that are no `Result`, and a result that cannot be written as JSON.

use leveret_worker::handler::{Handlers};
use leveret_worker::{Task, TaskError};

#[derive(serde::Serialize, serde::Deserialize, Task)]
#[task(kind = "email.welcome")]
struct Welcome {
    user_id: u64,
}

struct Sent;

async fn number(args: Welcome) -> u64 {
    args.user_id
}

async fn sent(_: Welcome) -> Result<Sent, TaskError> {
    Ok(Sent)
}

fn main() {
    let _ = Handlers::new().handle(number);
    let _ = Handlers::new().handle(sent);
}
