-- The timetable: what is due when, how far each schedule has got, and what became of it.

-- One row.
CREATE TABLE timetable (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Drawn at random: another timetable is told apart by it.
    incarnation INTEGER NOT NULL,
    -- Counts the changes to entries.
    version INTEGER NOT NULL,
    -- How many schedules there are.
    schedules INTEGER NOT NULL
) STRICT;
-- From the beginning: nothing empties a file behind our back, so an empty timetable is a new one and
-- not one that was lost.
INSERT INTO timetable (one, incarnation, version, schedules)
VALUES (1, random() & 0x7fffffffffffffff, 0, 0);

-- The entries, as JSON; the revision beside it is the one that counts.
CREATE TABLE schedule (
    name TEXT PRIMARY KEY NOT NULL,
    revision INTEGER NOT NULL,
    entry TEXT NOT NULL
) STRICT;

-- How far each has got, in the form of `store/schedules/packed.rs`. Apart from the entries, because
-- a position moves with every occurrence and an entry hardly ever changes.
CREATE TABLE position (
    name TEXT PRIMARY KEY NOT NULL,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What became of the last occurrences, in the same form; `seq` counts within one schedule.
CREATE TABLE occurrence (
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    occurrence TEXT NOT NULL,
    PRIMARY KEY (name, seq)
) STRICT, WITHOUT ROWID;

-- Which schedules the newest versions changed or removed, each with its last change.
CREATE TABLE schedule_change (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The last revisions of those that are gone, the newest removals only: `seq` counts them.
CREATE TABLE schedule_removal (
    seq INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL
) STRICT;
