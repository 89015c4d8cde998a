//! The sorts of problems: a closed list, each with its type, its status and its title.

use axum::http::StatusCode;

/// What sort of problem it is: the last part of its type, its status and its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
}

macro_rules! sorts {
    ($($constant:ident = $name:literal, $status:ident, $title:literal;)+) => {
        impl Sort {
            $(pub(crate) const $constant: Self =
                Self { name: $name, status: StatusCode::$status, title: $title };)+

            /// Every sort there is.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$constant),+];
        }
    };
}

sorts! {
    INVALID_REQUEST = "invalid-request", BAD_REQUEST, "The request is not valid";
    INVALID_TASK = "invalid-task", BAD_REQUEST, "The task is not valid";
    INVALID_SCHEDULE = "invalid-schedule", BAD_REQUEST, "The schedule is not valid";
    NO_TOKEN = "unauthorized", UNAUTHORIZED, "A valid token is needed";
    FOREIGN_PAGE = "foreign-page", FORBIDDEN, "Requests of other web pages are refused";
    UNKNOWN_TASK = "unknown-task", NOT_FOUND, "Nobody knows this task";
    UNKNOWN_ROUTE = "unknown-route", NOT_FOUND, "There is nothing at this path";
    WRONG_METHOD = "wrong-method", METHOD_NOT_ALLOWED, "This path takes another method";
    UNKNOWN_LETTER = "unknown-letter", NOT_FOUND, "There is no such dead letter";
    UNKNOWN_WORKER = "unknown-worker", NOT_FOUND, "No living worker is called so";
    UNKNOWN_QUEUE = "unknown-queue", NOT_FOUND, "Nobody knows this queue";
    UNKNOWN_SCHEDULE = "unknown-schedule", NOT_FOUND, "There is no such schedule";
    SCHEDULE_EXISTS = "schedule-exists", CONFLICT, "There is a schedule of this name";
    HELD_BY_ANOTHER_SOURCE =
        "held-by-another-source", CONFLICT, "What the schedule says is changed where it comes from";
    SCHEDULE_CHANGED = "schedule-changed", CONFLICT, "Somebody else changed the schedule";
    TOO_LATE = "too-late", CONFLICT, "The task's outcome is decided";
    ALREADY_OVER = "already-over", CONFLICT, "The task is over";
    DESK_BUSY = "desk-busy", CONFLICT, "Somebody else walks these dead letters at the moment";
    SLOW_BODY = "slow-body", REQUEST_TIMEOUT, "The body did not arrive in time";
    KEY_CONFLICT = "key-conflict", CONFLICT, "The key belongs to another task";
    TOO_LARGE = "too-large", PAYLOAD_TOO_LARGE, "The request is too large";
    MEDIA_TYPE =
        "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body is of a type that is not taken";
    WRONG_HOST = "wrong-host", MISDIRECTED_REQUEST, "The gateway does not go by this name";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "The gateway failed";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "A server behind is not available";
    UNCONFIRMED = "unconfirmed", GATEWAY_TIMEOUT, "It is not known whether it was accepted";
}

impl Sort {
    /// Returns the type of such problems: a relative reference.
    pub(crate) fn kind(self) -> String {
        format!("/problems/{}", self.name)
    }

    /// Tells whether the answer says when to try again.
    pub(crate) fn has_retry_after(self) -> bool {
        matches!(self, Self::UNAVAILABLE | Self::UNCONFIRMED | Self::DESK_BUSY)
    }
}
