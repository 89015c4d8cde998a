//! The numbers that both sides settled on when the connection was made, and which of them hurt.

use super::finding;
use crate::broker::rabbitmq::outbox::HEADERS_LIMIT;
use crate::broker::rabbitmq::supervisor::Link;
use crate::diagnose::{Finding, Health};

/// Fewer channels than this are soon used up: each consumer has its own.
const FEW_CHANNELS: u16 = 64;
/// What a frame has beside its payload.
const FRAME_OVERHEAD: usize = 8;

/// What was agreed on; 0 means without a limit, and for heartbeats none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement {
    heartbeat_seconds: u16,
    frame_bytes: u32,
    channels: u16,
}

impl Agreement {
    pub(super) fn of(link: &Link) -> Self {
        let agreed = link.connection.get().configuration();
        Self {
            heartbeat_seconds: agreed.heartbeat(),
            frame_bytes: agreed.frame_max(),
            channels: agreed.channel_max(),
        }
    }
}

/// Says what hurts, or what there is where nothing does.
pub(super) fn findings(agreed: &Agreement) -> Vec<Finding> {
    let Agreement { heartbeat_seconds, frame_bytes, channels } = *agreed;
    let mut odd = Vec::new();
    if heartbeat_seconds == 0 {
        let text = "heartbeats are off: a silent broker is noticed late or never";
        odd.push(finding("heartbeat", Health::Risky, text).mend(
            "Set `heartbeat` in the broker's config to the seconds of broker.heartbeat, not to 0",
        ));
    }
    let needed = HEADERS_LIMIT + FRAME_OVERHEAD;
    if frame_bytes != 0 && usize::try_from(frame_bytes).is_ok_and(|frame| frame < needed) {
        let text = format!("frames have at most {frame_bytes} bytes; headers may need {needed}");
        let mend = "Set `frame_max` in the broker's config to 131072, its default";
        odd.push(finding("frame-size", Health::Risky, text).mend(mend));
    }
    if channels != 0 && channels < FEW_CHANNELS {
        let text = format!("a connection has at most {channels} channels; each lane needs one");
        let mend = "Set `channel_max` in the broker's config to 2047, its default";
        odd.push(finding("channels", Health::Risky, text).mend(mend));
    }
    if odd.is_empty() {
        let text = format!(
            "heartbeat {heartbeat_seconds} s, frames of at most {frame_bytes} bytes, at most \
             {channels} channels"
        );
        odd.push(finding("agreement", Health::Good, text));
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_defaults_are_good_and_each_odd_number_is_named_with_how_to_mend_it() {
        let found = |heartbeat_seconds, frame_bytes, channels| {
            findings(&Agreement { heartbeat_seconds, frame_bytes, channels })
        };
        let good = found(10, 131_072, 2_047);
        assert_eq!(good.len(), 1);
        assert_eq!(good[0].health, Health::Good);
        assert_eq!(found(10, 0, 0)[0].health, Health::Good, "no limit is none");
        let odd = found(0, 4_096, 8);
        let checks: Vec<_> = odd.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(checks, ["heartbeat", "frame-size", "channels"]);
        assert!(odd.iter().all(|odd| odd.health == Health::Risky && odd.mend.is_some()));
    }
}
