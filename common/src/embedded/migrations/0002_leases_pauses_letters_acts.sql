-- What operators need: pauses, the list of dead letters, acts, and what was ever enqueued where.

-- The greatest epoch that any lease was given. Who holds one is known in memory only.
ALTER TABLE house ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

-- The paused queues, as JSON.
CREATE TABLE pause (
    queue TEXT PRIMARY KEY,
    pause TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Descriptions of dead letters, as JSON; the letters themselves are messages at `dead/QUEUE`.
CREATE TABLE letter (
    id BLOB PRIMARY KEY NOT NULL,
    queue TEXT NOT NULL,
    replay INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    died_ms INTEGER NOT NULL,
    letter TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
-- With the expiry, so that counting reads nothing else.
CREATE INDEX letter_list ON letter (queue, died_ms, id, expires_ms);
CREATE INDEX letter_expiry ON letter (expires_ms);

-- What people did to tasks, as JSON; `seq` counts within one task.
CREATE TABLE act (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    act TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX act_expiry ON act (expires_ms);

-- The pairs of lane and kind that were enqueued, and when last, to about a minute.
CREATE TABLE seen (
    lane TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (lane, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_order ON seen (at_ms);
INSERT INTO seen (lane, kind, at_ms)
    SELECT record ->> '$.lane.queue' || '.' || (record ->> '$.lane.class') AS lane,
        record ->> '$.kind' AS kind, max(record ->> '$.at') AS at_ms
    FROM enqueued WHERE json_valid(record)
    GROUP BY 1, 2
    HAVING lane IS NOT NULL AND kind IS NOT NULL AND typeof(at_ms) = 'integer';
