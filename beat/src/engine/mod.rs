//! The engine: puts each occurrence in when it is due, once, whatever is killed meanwhile.
//!
//! Read [`Beat`] for the loop. What is due is decided by pure parts: `due` (which schedule is next),
//! `catch_up` (what becomes of what was missed), `lead` (how long before it is due an occurrence is
//! handed to the broker). `leader` keeps the right to act. Safety does not rest on that right: the
//! task of an occurrence has one id, whoever puts it in, and a schedule's position moves by
//! compare-and-set, after the broker's confirm.

mod agenda;
mod announcing;
mod beat;
mod catch_up;
mod config;
mod deciding;
mod departures;
pub mod due;
mod filed;
mod filing;
mod firing;
mod following;
mod gate;
mod jobs;
mod lead;
mod leader;
mod looking;
mod moving;
mod observe;
mod overlap;
mod patience;
mod publisher;
mod roster;
mod run;
mod status;
mod steps;
mod teller;

pub use self::announcing::ANNOUNCED_FOR;
pub use self::beat::{Beat, Reloader};
pub use self::config::{Config, LONGEST_LEAD, SHORTEST_LEASE};
pub use self::filed::{FileError, Filed};
pub use self::status::Status;
pub use self::teller::News;
