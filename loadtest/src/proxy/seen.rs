//! What a proxy has really done.

/// Counts since the proxy was started.
///
/// Refused connections are the kernel's and not counted; the other faults all are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that reach the server now.
    pub open: u64,
    /// Connections for which the server could not be reached.
    pub unreached: u64,
    /// Bytes that clients were relieved of.
    pub to_server: u64,
    /// Bytes that the server was relieved of.
    pub to_client: u64,
    /// Pieces that were late on purpose.
    pub delayed: u64,
    /// Pieces that had to wait for the rate.
    pub throttled: u64,
    /// Pieces that were sliced off a larger one.
    pub sliced: u64,
    /// Bytes that were changed.
    pub corrupted: u64,
    /// How often a direction of a connection had something to carry, and was silent.
    pub withheld: u64,
    /// Connections that were reset on purpose.
    pub reset: u64,
    /// Connections whose server's end was taken away on purpose.
    pub half_opened: u64,
    /// How often the door was closed to new connections.
    pub refusals: u64,
    /// Replies of Redis that were met, sent on or not.
    pub replies: u64,
    /// Replies of Redis that were lost, each with its connection.
    pub replies_lost: u64,
    /// Confirms of RabbitMQ that were met, each of several in one frame.
    pub confirms: u64,
    /// Confirms of RabbitMQ that were lost.
    pub confirms_lost: u64,
    /// Frames or replies that were made unreadable.
    pub garbled: u64,
    /// Connections on which something else than the protocol was spoken; nothing of theirs is lost.
    pub unread: u64,
}
