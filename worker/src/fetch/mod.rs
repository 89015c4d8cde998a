//! Fetching: from the lanes to the slots.
//!
//! An [`intake`] per lane decodes what arrives, parks what is early or unknown and puts the rest
//! into the [`buffer`]; the [`picker`] chooses whose turn it is when a slot is free. Nothing here
//! claims or runs a task.

pub mod buffer;
pub mod intake;
pub mod picker;

use std::sync::Arc;
use std::time::Instant;

use leveret_common::broker::{Consumer, Receipt};
use leveret_common::envelope::Envelope;
use leveret_common::name::Lane;

/// A decoded delivery that waits for a slot or has one.
#[derive(Clone)]
pub struct Arrived {
    /// The task.
    pub envelope: Arc<Envelope>,
    /// The lane it came from.
    pub lane: Lane,
    /// What to settle it with.
    pub receipt: Receipt,
    /// Who handed it out.
    pub consumer: Arc<dyn Consumer>,
    /// When.
    pub at: Instant,
}

impl Arrived {
    /// Tells whether the delivery can still be settled.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.consumer.holds(self.receipt)
    }
}
