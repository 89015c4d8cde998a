//! Bytes of one direction on their way: what is late, limited or sliced waits here, in order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::fault::Line;

/// What waits at most, without a rate.
const ROOM: usize = 4 << 20;
/// For how long a limited line queues, so that it is slow and not endlessly late.
const QUEUED: Duration = Duration::from_millis(250);
/// How much of a second's rate is sent at once.
const STROKE: u64 = 20;

/// Bytes with the moment at which each may go on.
#[derive(Debug, Default)]
pub(super) struct Held {
    pieces: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    last_due: Option<Instant>,
    /// Until when the rate is used up.
    free_at: Option<Instant>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns how many more bytes may wait.
    pub(super) fn room(&self, line: &Line) -> usize {
        let all = line.rate.map_or(ROOM, |rate| within(rate, QUEUED).max(1024));
        all.saturating_sub(self.bytes)
    }

    /// Takes bytes that may go on after `late`, and not before those that came earlier.
    pub(super) fn push(&mut self, bytes: Bytes, late: Duration) {
        if bytes.is_empty() {
            return;
        }
        let due = Instant::now() + late;
        let due = self.last_due.map_or(due, |last| due.max(last));
        self.last_due = Some(due);
        self.bytes += bytes.len();
        self.pieces.push_back((due, bytes));
    }

    /// Returns when the next piece may go on.
    pub(super) fn due(&self) -> Option<Instant> {
        let (due, _) = self.pieces.front()?;
        Some(self.free_at.map_or(*due, |free_at| free_at.max(*due)))
    }

    /// Takes out what goes on now, and tells whether some of its piece stays behind.
    pub(super) fn pop(&mut self, line: &Line) -> Option<(Bytes, bool)> {
        let (_, front) = self.pieces.front_mut()?;
        let stroke = line
            .rate
            .map_or(usize::MAX, |rate| usize::try_from(rate / STROKE).unwrap_or(usize::MAX).max(1));
        let most = stroke.min(line.slice.unwrap_or(usize::MAX)).min(front.len());
        let piece = front.split_to(most);
        let is_cut = !front.is_empty();
        if !is_cut {
            self.pieces.pop_front();
        }
        self.bytes -= piece.len();
        if let Some(rate) = line.rate {
            let takes = Duration::from_secs_f64(to_f64(piece.len()) / to_f64(rate));
            let now = Instant::now();
            self.free_at = Some(self.free_at.map_or(now, |free_at| free_at.max(now)) + takes);
        } else {
            self.free_at = None;
        }
        Some((piece, is_cut))
    }
}

fn within(rate: u64, time: Duration) -> usize {
    usize::try_from(rate.saturating_mul(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)) / 1000)
        .unwrap_or(usize::MAX)
}

fn to_f64(number: impl TryInto<u32>) -> f64 {
    number.try_into().map_or(f64::from(u32::MAX), f64::from)
}
