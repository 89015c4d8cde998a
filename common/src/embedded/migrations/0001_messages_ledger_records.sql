-- The first schema. Times are milliseconds since 1970 UTC, ids of tasks the 16 bytes of a UUID.

-- Who the file belongs to. One row.
CREATE TABLE house (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    namespace TEXT NOT NULL,
    -- Counts the writes of `check`, which have to reach the disk to mean anything.
    checks INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Every message that is not acked yet. Ids come from the writer and grow within a process, so the
-- order of a lane is the order of ids; a delayed message gets a new id when it falls due.
-- `place` is a lane (`mail.high`) or the dead letters of a queue (`dead/mail`).
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    place TEXT NOT NULL,
    due_ms INTEGER,
    wire TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX message_ready ON message (place, id) WHERE due_ms IS NULL;
CREATE INDEX message_delayed ON message (place, due_ms) WHERE due_ms IS NOT NULL;

-- The claims and outcomes, in the form of `ledger/packed.rs`.
CREATE TABLE ledger (
    id BLOB PRIMARY KEY,
    entry TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_expiry ON ledger (expires_ms);

-- What was accepted, as JSON.
CREATE TABLE enqueued (
    id BLOB PRIMARY KEY,
    record TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX enqueued_expiry ON enqueued (expires_ms);

-- What became of each attempt, as JSON; `seq` counts within one task.
CREATE TABLE attempt (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    note TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_expiry ON attempt (expires_ms);

-- What the last successful attempt answered: JSON text.
CREATE TABLE result (
    id BLOB PRIMARY KEY,
    result TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX result_expiry ON result (expires_ms);
