//! The derive `Task`: writes the `impl` of the trait of the same name, and nothing that could not be
//! written by hand.
//!
//! Programs find it as `leveret::prelude::Task`; [`macro@Task`] has the attributes. Inside, `attributes`
//! reads and checks `#[task(…)]`, `rules` holds the rules of names and durations, `write` makes the code.
//! What is wrong is a compile error at its place that says what is allowed, all of it at once. Guards
//! that the rules are those of `leveret-common`, which a test compares: a proc-macro that imported that
//! crate would have it compiled a second time.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

mod attributes;
mod rules;
mod write;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Code;
use quote::quote;
use syn::DeriveInput;

/// Writes the `impl` of `Task` for a type of args.
///
/// | attribute | says |
/// | --- | --- |
/// | `kind = "email.welcome"` | the kind's name; the only one that must be there |
/// | `aliases = ["mail.welcome"]` | names that the kind had before: workers perform tasks of these names, too |
/// | `queue = "mail"` | the queue that its tasks go to; `default` where absent |
/// | `class = "high"` | `critical`, `high`, `normal` or `low`; `normal` where absent |
/// | `max_attempts = 8` | most attempts, the first included: 1 to 1000; 8 where absent |
/// | `backoff(exponential, base = "1s", factor = 2.0, max = "10m")` | the waits between attempts; these are the defaults |
/// | `backoff(linear, base = "1s", step = "1s", max = "10m")` | waits that grow by the same step |
/// | `backoff(fixed, delay = "30s")` | always the same wait |
/// | `backoff(list, delays = ["1s", "1m", "1h"])` | these waits, the last one from then on |
/// | `timeout = "30s"` | the time limit of one attempt: 1ms to 30d |
/// | `schema` | args must fit the type's JSON Schema: it derives `schemars::JsonSchema`, too |
/// | `crate = "shop::leveret"` | where the code finds the crate; `::leveret` where absent |
/// | `redact(email, phone)` | fields that `Debug`, which the derive writes then, shows as `[redacted]` |
///
/// Fields that are redacted are kept out of `{:?}`, and what they hold out of the error of args that
/// do not fit the type. The task itself carries them: broker, dead letters and whoever may read these see
/// them.
///
/// The code names what it uses through the crate `leveret`; the crates below it have derives of
/// their own, under the same name.
#[proc_macro_derive(Task, attributes(task))]
pub fn task(input: TokenStream) -> TokenStream {
    derive(input, &Place { root: quote!(::leveret), below: quote!(producer::task) })
}

/// Writes the `impl` of `Task` for a type of args, as [`macro@Task`] does and with the same attributes, in a
/// program that has `leveret-producer` and not `leveret`. That crate calls it `Task`.
#[proc_macro_derive(TaskInProducer, attributes(task))]
pub fn task_in_producer(input: TokenStream) -> TokenStream {
    derive(input, &Place { root: quote!(::leveret_producer), below: quote!(task) })
}

/// Writes the `impl` of `Task` for a type of args, as [`macro@Task`] does and with the same attributes, in a
/// program that has `leveret-worker` and not `leveret`. That crate calls it `Task`.
#[proc_macro_derive(TaskInWorker, attributes(task))]
pub fn task_in_worker(input: TokenStream) -> TokenStream {
    derive(input, &Place { root: quote!(::leveret_worker), below: quote!(task) })
}

/// Where the code finds the trait and what belongs to it.
struct Place {
    /// The crate, where `crate` names no other one.
    root: Code,
    /// The module in it.
    below: Code,
}

fn derive(input: TokenStream, place: &Place) -> TokenStream {
    let made = syn::parse::<DeriveInput>(input).and_then(|input| write::task(&input, place));
    made.unwrap_or_else(|wrong| wrong.into_compile_error()).into()
}
