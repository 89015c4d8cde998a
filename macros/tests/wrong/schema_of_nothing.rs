//! Args that are to fit the schema of a type that describes none.

use leveret_worker::Task;

#[derive(Task)]
#[task(kind = "email.welcome", schema)]
struct Welcome {
    user_id: u64,
}

fn main() {}
