//! The names of all headers of envelope version 1, and their limits.

/// Envelope version; 1.
pub const VERSION: &str = "lv-v";
/// Idempotency key, ≤ 128 bytes.
pub const KEY: &str = "lv-key";
/// The sender's own id, where it was not a UUID.
pub const ORIGIN_ID: &str = "lv-origin-id";
/// Most attempts, 1–1000.
pub const MAX_ATTEMPTS: &str = "lv-max-attempts";
/// Not to be started after this instant, ms.
pub const EXPIRES_AT: &str = "lv-expires-at";
/// Time limit of one attempt, ms.
pub const TIMEOUT_MS: &str = "lv-timeout-ms";
/// Id of the task that enqueued this one.
pub const PARENT: &str = "lv-parent";
/// Name of the schedule that enqueued this one.
pub const SCHEDULE: &str = "lv-schedule";
/// The schedule's instant, ms.
pub const OCCURRENCE: &str = "lv-occurrence";
/// The revision of the schedule that this occurrence was made from.
pub const REVISION: &str = "lv-revision";
/// Where the sender waits for the outcome, outside of Leveret.
pub const REPLY_TO: &str = "lv-reply-to";
/// Table of text to text.
pub const TAGS: &str = "lv-tags";
/// How long the result is kept, ms.
pub const RESULT_TTL: &str = "lv-result-ttl";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context, vendor part.
pub const TRACESTATE: &str = "tracestate";
/// W3C baggage.
pub const BAGGAGE: &str = "baggage";

/// Replays so far; 0.
pub const REPLAY: &str = "lv-replay";
/// This attempt; 1 is the first.
pub const ATTEMPT: &str = "lv-attempt";
/// Not to be started before this instant, ms.
pub const NOT_BEFORE: &str = "lv-not-before";
/// Snoozes so far: attempts that count against no limit; 0.
pub const SNOOZES: &str = "lv-snoozes";
/// Parks in a row so far; 0.
pub const PARKS: &str = "lv-parks";
/// When the row of parks began, ms.
pub const PARKED_SINCE: &str = "lv-parked-since";
/// The lane a dead letter came from.
pub const ORIGIN: &str = "lv-origin";
/// Message of the last failure.
pub const ERROR: &str = "lv-error";
/// Class of the last failure.
pub const ERROR_CLASS: &str = "lv-error-class";
/// Why the task is dead.
pub const REASON: &str = "lv-reason";
/// When the first attempt failed, ms.
pub const FIRST_FAILED_AT: &str = "lv-first-failed-at";
/// When the task died, ms; only dead letters have it.
pub const DEAD_AT: &str = "lv-dead-at";
/// Id of the dead task that this one was edited from.
pub const REPLAY_OF: &str = "lv-replay-of";
/// What a message of another dialect said in its own headers, where it could not become a task.
pub const FOREIGN: &str = "lv-foreign";

/// What of a message could not be read as it came from the broker, so that it was left out.
pub const UNREADABLE: &str = "lv-unreadable";

/// The headers that this version reads; every other `lv-*` header is carried along unread.
pub const KNOWN: [&str; 31] = [
    VERSION,
    KEY,
    ORIGIN_ID,
    MAX_ATTEMPTS,
    EXPIRES_AT,
    TIMEOUT_MS,
    PARENT,
    SCHEDULE,
    OCCURRENCE,
    REVISION,
    TAGS,
    RESULT_TTL,
    TRACEPARENT,
    TRACESTATE,
    BAGGAGE,
    REPLAY,
    ATTEMPT,
    NOT_BEFORE,
    SNOOZES,
    PARKS,
    PARKED_SINCE,
    ORIGIN,
    ERROR,
    ERROR_CLASS,
    REASON,
    FIRST_FAILED_AT,
    DEAD_AT,
    REPLAY_OF,
    REPLY_TO,
    FOREIGN,
    UNREADABLE,
];

/// Most attempts that a task may ask for.
pub const MAX_MAX_ATTEMPTS: u32 = 1_000;
/// Most tags of a task.
pub const MAX_TAGS: usize = 32;
/// Longest value of a tag, and of other short texts, in bytes.
pub const MAX_TAG: usize = 256;
/// Longest name of a tag, in bytes: AMQP's tables have no longer keys.
pub const MAX_TAG_NAME: usize = 255;
/// Most unknown `lv-*` headers carried along.
pub const MAX_EXTRA: usize = 32;
/// Most bytes of unknown `lv-*` headers carried along.
pub const MAX_EXTRA_BYTES: usize = 8 * 1024;
/// Longest error message on the wire, in bytes; longer ones are cut.
pub const MAX_ERROR: usize = 4 * 1024;
/// Deepest nesting of the args, as deep as `serde_json` reads by default: what passes here can be
/// read by every handler.
pub const MAX_DEPTH: usize = 127;
/// Deepest nesting of tables and lists in a header; a message with a deeper one is no task.
pub const MAX_NESTING: usize = 32;
/// Longest trace header, in bytes.
pub const MAX_TRACE: usize = 1024;
