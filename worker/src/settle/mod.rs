//! Settling: from a delivery to its ack, so that nothing accepted is lost.
//!
//! [`journey`] has the order of steps as a pure state machine and [`custody`] the one decision on
//! takeovers; [`pipeline`] drives them against the seams, [`publishes`] builds the messages that
//! an outcome asks for, [`holdings`] remembers which claims this worker holds.

pub mod custody;
pub mod holdings;
pub mod journey;
#[cfg(test)]
mod journey_tests;
pub mod pipeline;
pub mod publishes;
