//! Extractors: what a handler takes after its args, each known by its type.
//!
//! What an attempt has to offer is in [`given`], what it can say in [`saying`]; state that the program hands to its handlers is
//! [`State`]. A program writes extractors of its own with [`Extract`].

mod given;
mod saying;

use std::future::Future;

use super::{Execution, TaskError};

pub use self::given::{Attempt, Cancel, Tags};
pub use self::saying::{Checkpoint, Progress};

/// Something that a handler can take after its args.
///
/// `S` is the state of the handlers, `X` what it is taken out of: an [`Execution`], or
/// [`Batched`](super::Batched) tasks.
///
/// # Examples
/// A handler that wants a connection and not the pool:
/// ```
/// use leveret_worker::handler::{Execution, Extract, FromRef, TaskError};
/// # #[derive(Clone)] struct Pool; struct Connection;
/// # impl Pool { async fn get(&self) -> Result<Connection, std::io::Error> { Ok(Connection) } }
///
/// impl<S: Sync> Extract<S> for Connection
/// where
///     Pool: FromRef<S>,
/// {
///     async fn extract(_: &Execution, state: &S) -> Result<Self, TaskError> {
///         let pool = Pool::from_ref(state);
///         Ok(pool.get().await?)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a handler can take out of `{X}`",
    label = "no extractor for this type of parameter",
    note = "args come first and only once; after them come extractors: `State<T>`, `Attempt`, `TaskId`, `Tags`, `Cancel`, `Fence`, `Enqueuer`, `Progress`, `Checkpoint<T>`, `Execution` and those that the program writes",
    note = "state that was handed over with `.state(…)` is taken as `State<T>`; a batch has `State<T>`, `Cancel` and `Batched` only"
)]
pub trait Extract<S, X = Execution>: Sized {
    /// Takes it, before the handler is called.
    ///
    /// # Errors
    /// What becomes of the task instead, as if its handler had said so.
    ///
    /// # Cancel safety
    /// Dropped at the hard time limit and at the end of a drain's grace, as the handler is.
    fn extract(from: &X, state: &S) -> impl Future<Output = Result<Self, TaskError>> + Send;
}

/// Extractors that are taken together, in their order.
pub trait ExtractAll<S, X = Execution>: Sized {
    /// Takes them; the first that fails decides what becomes of the task.
    ///
    /// # Errors
    /// What that one said.
    ///
    /// # Cancel safety
    /// As that of each.
    fn extract_all(from: &X, state: &S) -> impl Future<Output = Result<Self, TaskError>> + Send;
}

macro_rules! tuples {
    ($(($($extractor:ident),*))*) => {$(
        impl<S: Sync, X: Sync, $($extractor),*> ExtractAll<S, X> for ($($extractor,)*)
        where
            $($extractor: Extract<S, X> + Send,)*
        {
            async fn extract_all(_from: &X, _state: &S) -> Result<Self, TaskError> {
                Ok(($($extractor::extract(_from, _state).await?,)*))
            }
        }
    )*};
}

tuples! {
    ()
    (A)
    (A, B)
    (A, B, C)
    (A, B, C, D)
    (A, B, C, D, E)
    (A, B, C, D, E, F)
    (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H)
}

/// State that the program hands to its handlers, see [`Handlers::state`](super::Handlers::state).
///
/// `T` is the state itself or a part of it, see [`FromRef`]. A handler whose state was not handed over
/// does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<T>(pub T);

impl<S, X, T> Extract<S, X> for State<T>
where
    S: Sync,
    X: Sync,
    T: FromRef<S> + Send,
{
    async fn extract(_: &X, state: &S) -> Result<Self, TaskError> {
        Ok(Self(T::from_ref(state)))
    }
}

/// A part that can be taken out of the state `S`. Every state that is `Clone` is a part of itself.
///
/// # Examples
/// ```
/// use leveret_worker::handler::FromRef;
/// # #[derive(Clone)] struct Mailer; #[derive(Clone)] struct Pool;
///
/// struct App { mailer: Mailer, pool: Pool }
///
/// impl FromRef<App> for Mailer {
///     fn from_ref(app: &App) -> Self { app.mailer.clone() }
/// }
///
/// impl FromRef<App> for Pool {
///     fn from_ref(app: &App) -> Self { app.pool.clone() }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the handlers' state is `{S}`, which holds no `{Self}`",
    label = "takes a `State<{Self}>` that was not handed over",
    note = "hand it over with `.state(…)` before this handler; a part of a greater state implements `FromRef<{S}>`"
)]
pub trait FromRef<S> {
    /// Takes it out of the state.
    fn from_ref(state: &S) -> Self;
}

impl<T: Clone> FromRef<T> for T {
    fn from_ref(state: &T) -> Self {
        state.clone()
    }
}
