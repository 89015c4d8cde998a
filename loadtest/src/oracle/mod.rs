//! The oracle: what was accepted against what was performed.
//!
//! A total-queue checker. [`accepted`] is what senders were promised, [`history`] what handlers wrote down,
//! [`event`] what was done to the system, [`window`] which second runs that explains, [`due`] until when, [`mod@judge`]
//! the verdict, [`finding`] what it says.
//! All of it is pure: it asks nobody, so each way to break a promise can be shown to turn it red.

pub mod accepted;
pub mod custody;
pub mod due;
mod endings;
pub mod event;
pub mod finding;
pub mod history;
pub mod judge;
pub mod pace;
mod runs;
pub mod window;

pub use self::accepted::{Accepted, Ending};
pub use self::event::Event;
pub use self::finding::Finding;
pub use self::history::{End, History, Run};
pub use self::judge::{Evidence, judge};
pub use self::window::Window;
