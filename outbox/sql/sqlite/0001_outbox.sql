-- Leveret's outbox for SQLite 3.38 or newer.
--
-- Apply it once to your application's own file: leveret relay schema --for sqlite | sqlite3 app.db
--
-- A task is a row that you insert in your transaction: kind, args and options are enough. Rolled back, there is no
-- task; committed, `leveret relay` hands it to the broker. Instants are milliseconds since 1970 UTC.
-- Keep the file in WAL mode (pragma journal_mode=wal) and give senders a busy timeout: in any other mode the relay's
-- reads lock out writers for a moment.

begin;

create table leveret_outbox (
    seq integer primary key autoincrement,
    -- The task's id, where options name neither id nor key: a UUID of version 7, which begins with the time in
    -- milliseconds. It never changes, so that whoever hands the row on a second time hands on the same task.
    id text not null default (
        lower(
            substr(printf('%012x', cast((julianday('now') - 2440587.5) * 86400000 as integer)), 1, 8) || '-' ||
            substr(printf('%012x', cast((julianday('now') - 2440587.5) * 86400000 as integer)), 9, 4) || '-7' ||
            substr(hex(randomblob(2)), 2) || '-' ||
            substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' ||
            hex(randomblob(6)))),
    kind text not null,
    -- JSON, as text.
    args text not null default 'null',
    -- A JSON object, as text. Any of: queue, class, delay, at, key, id, expires, timeout, max_attempts, tags; as in
    -- POST /v1/tasks.
    options text not null default '{}',
    -- Delay and expires count from here.
    created_at integer not null default (cast((julianday('now') - 2440587.5) * 86400000 as integer)),

    -- The relay's own columns. A row with none of these instants waits.
    tries integer not null default 0,
    next_at integer,
    sent_at integer,
    refused_at integer,
    -- Why it was refused, or why its last try failed.
    problem text
);

create index leveret_outbox_waiting on leveret_outbox (seq) where sent_at is null and refused_at is null;
create index leveret_outbox_sent on leveret_outbox (sent_at) where sent_at is not null;
create index leveret_outbox_refused on leveret_outbox (seq) where refused_at is not null;

-- What a look at a row shows is refused at once, so that the transaction fails and not the task; the relay checks
-- all of it.
create trigger leveret_outbox_checked before insert on leveret_outbox
begin
    select case
        when typeof(new.created_at) <> 'integer'
            then raise(abort, 'failed to enqueue: created_at: write whole milliseconds since 1970, or leave it out')
        when new.kind = '' or length(new.kind) > 128 or new.kind glob '*[^A-Za-z0-9._-]*'
            or '.' || new.kind || '.' glob '*..*'
            then raise(abort, 'failed to enqueue: kind: use dotted words of letters, digits, ''-'' and ''_'', at most 128, such as email.welcome')
        when not json_valid(new.args)
            then raise(abort, 'failed to enqueue: args: they are not JSON')
        when not json_valid(new.options)
            then raise(abort, 'failed to enqueue: options: they are not JSON')
        when json_type(new.options) <> 'object'
            then raise(abort, 'failed to enqueue: options: they are no object; write one, such as {"queue": "mail"}, or leave them out')
        when exists (
                select 1 from json_each(new.options) where key not in
                ('queue', 'class', 'delay', 'at', 'key', 'id', 'expires', 'timeout', 'max_attempts', 'tags'))
            then raise(abort, 'failed to enqueue: options: there are only the fields queue, class, delay, at, key, id, expires, timeout, max_attempts and tags')
        when json_extract(new.options, '$.id') is not null and json_extract(new.options, '$.key') is not null
            then raise(abort, 'failed to enqueue: options: key cannot stand beside id; give one of them')
        when json_extract(new.options, '$.delay') is not null and json_extract(new.options, '$.at') is not null
            then raise(abort, 'failed to enqueue: options: at cannot stand beside delay; give one of them')
    end;
end;

-- A refused row that somebody mends is tried again.
create trigger leveret_outbox_mended after update on leveret_outbox
when old.refused_at is not null and (
    new.refused_at is null or new.kind is not old.kind or new.args is not old.args or new.options is not old.options)
begin
    update leveret_outbox set refused_at = null, problem = null, tries = 0, next_at = null where seq = new.seq;
end;

commit;
