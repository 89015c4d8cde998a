//! The oracle: what was accepted against what was performed.
//!
//! A total-queue checker. [`accepted`] is what senders were promised, [`history`] what handlers wrote down,
//! [`event`] what was done to the system, [`window`] which second runs that explains, [`mod@judge`] the verdict.
//! All of it is pure: it asks nobody, so each way to break a promise can be shown to turn it red.

pub mod accepted;
pub mod custody;
pub mod event;
pub mod history;
pub mod judge;
pub mod pace;
pub mod window;

pub use self::accepted::Accepted;
pub use self::event::Event;
pub use self::history::{End, History, Run};
pub use self::judge::{Evidence, Finding, judge};
pub use self::window::Window;
