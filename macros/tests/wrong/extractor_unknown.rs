//! A parameter that is no extractor.

use leveret_worker::handler::{Handlers};
use leveret_worker::{Task, TaskError};

#[derive(serde::Serialize, serde::Deserialize, Task)]
#[task(kind = "email.welcome")]
struct Welcome {
    user_id: u64,
}

async fn welcome(args: Welcome, _: String) -> Result<u64, TaskError> {
    Ok(args.user_id)
}

fn main() {
    let _ = Handlers::new().handle(welcome);
}
