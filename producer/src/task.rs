//! The typed task: args that know which kind they are for.
//!
//! [`Task`] is all there is to it; the derive of the same name only writes the `impl`. A producer
//! reads kind and lane from it, a worker also how its failures are retried, and both the shape of
//! the args where there is one. What somebody says in a request comes before what the type says.
//!
//! ```
//! use leveret_producer::task::{Defaults, Task};
//!
//! #[derive(serde::Serialize)]
//! struct Welcome { user_id: u64 }
//!
//! impl Task for Welcome {
//!     const KIND: &'static str = "email.welcome";
//!
//!     fn defaults() -> Defaults {
//!         Defaults::new().queue("mail").max_attempts(8)
//!     }
//! }
//! ```

#[cfg(feature = "schema")]
mod schema;
#[cfg(not(feature = "schema"))]
#[path = "task/without_schema.rs"]
mod schema;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub use leveret_common::name::Class;
pub use leveret_common::retry::Backoff;
pub use leveret_common::shape::{Shape, Unusable};

pub use self::schema::shape_of;

use crate::request::Request;

/// The shape of a type's args, where it has one that can be used.
pub type Shaped = Result<Option<Arc<dyn Shape>>, Unusable>;

/// Args that know which kind they are for.
///
/// # Examples
/// ```
/// use leveret_producer::Task;
///
/// #[derive(serde::Serialize, Task)]
/// #[task(kind = "email.welcome", queue = "mail", max_attempts = 8, timeout = "30s")]
/// struct Welcome { user_id: u64, email: String }
///
/// assert_eq!(Welcome::KIND, "email.welcome");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no kind",
    label = "these args do not implement `Task`",
    note = "add `#[derive(Task)]` and `#[task(kind = \"…\")]` to the type, or implement `Task` for it",
    note = "args without a type of their own go by name: `Producer::task` and `Handlers::handle_as`"
)]
pub trait Task {
    /// The kind's name, such as `email.welcome`.
    const KIND: &'static str;

    /// Names that the kind had before: a worker performs tasks of these names, too.
    const ALIASES: &'static [&'static str] = &[];

    /// Fields whose content is kept out of the error of args that do not fit; the derive keeps it out of
    /// `Debug`, too. The task itself carries it, for whoever may read that.
    const REDACTED: &'static [&'static str] = &[];

    /// Returns how tasks of the kind are treated where nobody says otherwise.
    #[must_use]
    fn defaults() -> Defaults {
        Defaults::new()
    }

    /// Returns the shape that args must have; none where whatever can be read as the type will do.
    ///
    /// It is asked for with each task that is put in, so it is made once and kept.
    ///
    /// # Errors
    /// When a schema was asked for that cannot be used.
    fn shape() -> Shaped {
        Ok(None)
    }
}

impl<T: Task + ?Sized> Task for &T {
    const KIND: &'static str = T::KIND;
    const ALIASES: &'static [&'static str] = T::ALIASES;
    const REDACTED: &'static [&'static str] = T::REDACTED;

    fn defaults() -> Defaults {
        T::defaults()
    }

    fn shape() -> Shaped {
        T::shape()
    }
}

/// How tasks of a kind are treated where neither request nor configuration says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Defaults {
    /// The queue; `default` where absent.
    pub queue: Option<&'static str>,
    /// How urgent; normal where absent.
    pub class: Option<Class>,
    /// Most attempts, the first included.
    pub max_attempts: Option<u32>,
    /// The waits between attempts.
    pub backoff: Option<Backoff>,
    /// The time limit of one attempt.
    pub timeout: Option<Duration>,
}

impl Defaults {
    /// Creates the defaults of a kind that has none of its own.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: None, class: None, max_attempts: None, backoff: None, timeout: None }
    }

    /// Sets the queue that tasks go to.
    #[must_use]
    pub fn queue(self, queue: &'static str) -> Self {
        Self { queue: Some(queue), ..self }
    }

    /// Sets how urgent tasks are.
    #[must_use]
    pub fn class(self, class: Class) -> Self {
        Self { class: Some(class), ..self }
    }

    /// Limits the number of attempts, the first included: 1 to 1,000.
    #[must_use]
    pub fn max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: Some(attempts), ..self }
    }

    /// Sets the waits between attempts.
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff: Some(backoff), ..self }
    }

    /// Limits one attempt.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl<T: Task + Serialize> From<T> for Request {
    fn from(task: T) -> Self {
        let Defaults { queue, class, .. } = T::defaults();
        Self::new(T::KIND, &task).usually(queue.map(str::to_owned), class).fitting(T::shape())
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::name::Lane;
    use leveret_common::shape::Misfit;

    use super::*;
    use crate::error::Problem;

    #[derive(Serialize)]
    struct Welcome {
        user_id: u64,
    }

    impl Task for Welcome {
        const KIND: &'static str = "email.welcome";

        fn defaults() -> Defaults {
            Defaults::new().queue("mail").class(Class::High)
        }
    }

    #[test]
    fn a_request_says_more_than_the_configuration_and_that_more_than_the_type() {
        let request = || Request::from(Welcome { user_id: 7 });
        let lane = |request: Request, configured: Option<&Lane>| {
            let settled = request.in_lane(configured);
            (settled.queue, settled.class)
        };
        let configured = Lane::new("files".parse().unwrap(), Class::Low);
        let of_type = (Some("mail".to_owned()), Some(Class::High));
        assert_eq!(lane(request(), None), of_type);
        let of_file = (Some("files".to_owned()), Some(Class::Low));
        assert_eq!(lane(request(), Some(&configured)), of_file);
        let said = (Some("bulk".to_owned()), Some(Class::Critical));
        let asked = request().queue("bulk").class(Class::Critical);
        assert_eq!(lane(asked, Some(&configured)), said);
    }

    #[derive(Serialize)]
    struct Shapely(u64);

    struct Seven;

    impl Shape for Seven {
        fn check(&self, args: &[u8]) -> Result<(), Misfit> {
            let misfit = || Misfit { path: "/a".to_owned(), why: "it is not 7".to_owned() };
            if args == b"7" { Ok(()) } else { Err(misfit()) }
        }
    }

    impl Task for Shapely {
        const KIND: &'static str = "shapely";

        fn shape() -> Shaped {
            Ok(Some(Arc::new(Seven)))
        }
    }

    #[test]
    fn args_that_do_not_fit_the_shape_of_their_type_are_a_problem_of_that_place() {
        assert_eq!(Request::from(Shapely(7)).problems(), []);
        for request in [Request::from(Shapely(8)), Request::from(&Shapely(8)).queue("mail")] {
            let problems = request.problems();
            assert_eq!(problems.len(), 1, "{problems:?}");
            let Problem { field, why, .. } = &problems[0];
            assert_eq!((field.as_str(), why.as_str()), ("args/a", "it is not 7"));
        }
    }

    #[test]
    fn a_shape_that_cannot_be_used_accepts_nothing() {
        let unusable = Err(Unusable("no type \"nothing\"".to_owned()));
        let problems = Request::new("shapely", &7).fitting(unusable).problems();
        assert_eq!(problems[0].field, "args");
        assert!(problems[0].why.contains("no type \"nothing\""), "{problems:?}");
    }

    #[test]
    fn a_task_becomes_a_request_with_its_kind_and_args_by_value_and_by_reference() {
        let welcome = Welcome { user_id: 7 };
        let by_reference = Request::from(&welcome);
        assert_eq!((by_reference.kind(), by_reference.args_size()), ("email.welcome", 13));
        assert_eq!(by_reference, Request::from(welcome));
    }

    #[test]
    fn a_queue_of_the_type_that_is_no_name_is_a_problem_like_any_other() {
        struct Wrong;
        impl Serialize for Wrong {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_unit()
            }
        }
        impl Task for Wrong {
            const KIND: &'static str = "no kind";
            fn defaults() -> Defaults {
                Defaults::new().queue("No Queue")
            }
        }
        let fields: Vec<_> =
            Request::from(Wrong).problems().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["kind", "queue"]);
    }
}
