//! What a function says about itself: args first, then extractors, then its answer.
//!
//! [`Function`] only takes a signature apart and asks nothing of its parts. Whoever takes a function
//! states what they must be, each for itself; so a handler that is wrong is told about the part that is
//! wrong.

/// A function of args and up to eight extractors.
///
/// `P` is its parameters; the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function that can be a handler",
    label = "not a function of args and up to eight extractors",
    note = "write it as `async fn(args: A, …) -> Result<R, TaskError>`; a closure has to name the types of its parameters"
)]
pub trait Function<P>: Send + Sync + 'static {
    /// The first parameter.
    type Args;
    /// The others, as a tuple.
    type Extractors;
    /// What it answers with.
    type Answer;

    /// Calls it.
    fn call(&self, args: Self::Args, extractors: Self::Extractors) -> Self::Answer;
}

macro_rules! functions {
    ($(($($name:ident $extractor:ident),*))*) => {$(
        impl<F, O, A, $($extractor),*> Function<(A, $($extractor,)*)> for F
        where
            F: Fn(A, $($extractor),*) -> O + Send + Sync + 'static,
        {
            type Args = A;
            type Extractors = ($($extractor,)*);
            type Answer = O;

            fn call(&self, args: A, ($($name,)*): Self::Extractors) -> O {
                self(args, $($name),*)
            }
        }
    )*};
}

functions! {
    ()
    (a A1)
    (a A1, b A2)
    (a A1, b A2, c A3)
    (a A1, b A2, c A3, d A4)
    (a A1, b A2, c A3, d A4, e A5)
    (a A1, b A2, c A3, d A4, e A5, f A6)
    (a A1, b A2, c A3, d A4, e A5, f A6, g A7)
    (a A1, b A2, c A3, d A4, e A5, f A6, g A7, h A8)
}
