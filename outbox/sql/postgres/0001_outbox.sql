-- Leveret's outbox for PostgreSQL 13 or newer.
--
-- Apply it once, in the schema where your own tables are: leveret relay schema --for postgres | psql URL
--
-- A task is a row that is written in your transaction, by leveret_enqueue() or by an INSERT of kind, args and
-- options. Rolled back, there is no task; committed, `leveret relay` hands it to the broker.

begin;

-- Mints the id of a task: a UUID of version 7, which begins with the time in milliseconds.
create function leveret_mint_id() returns uuid
language sql volatile
as $$
    select encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;

create table leveret_outbox (
    seq bigint generated always as identity primary key,
    -- The task's id, where options name neither id nor key. It never changes, so that whoever hands the row on a
    -- second time hands on the same task.
    id uuid not null default leveret_mint_id(),
    kind text not null,
    args jsonb not null default 'null',
    -- Any of: queue, class, delay, at, key, id, expires, timeout, max_attempts, tags; as in POST /v1/tasks.
    options jsonb not null default '{}',
    -- Delay and expires count from here.
    created_at timestamptz not null default clock_timestamp() check (isfinite(created_at)),

    -- The relay's own columns. A row with none of these instants waits.
    tries integer not null default 0,
    next_at timestamptz,
    sent_at timestamptz,
    refused_at timestamptz,
    -- Why it was refused, or why its last try failed.
    problem text
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create index leveret_outbox_waiting on leveret_outbox (seq) where sent_at is null and refused_at is null;
create index leveret_outbox_sent on leveret_outbox (sent_at) where sent_at is not null;
create index leveret_outbox_refused on leveret_outbox (seq) where refused_at is not null;

-- Tells what is wrong with a task as far as a look at it shows; the relay checks all of it.
create function leveret_problems(kind text, options jsonb) returns text[]
language plpgsql immutable
as $$
declare
    fields constant text[] :=
        '{queue,class,delay,at,key,id,expires,timeout,max_attempts,tags}';
    problems text[] := '{}';
    field text;
    sort text;
    wanted text;
begin
    if kind is null or kind !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' or length(kind) > 128 then
        problems := problems || format(
            'kind: %s is no kind; use dotted words of letters, digits, ''-'' and ''_'', at most 128, such as email.welcome',
            coalesce(quote_literal(left(kind, 80)), 'NULL'));
    end if;
    if options is null or jsonb_typeof(options) <> 'object' then
        return problems || 'options: they are no object; write one, such as {"queue": "mail"}, or leave them out'::text;
    end if;
    for field, sort in select key, jsonb_typeof(value) from jsonb_each(options) loop
        wanted := case field when 'max_attempts' then 'number' when 'tags' then 'object' else 'string' end;
        if not field = any (fields) then
            problems := problems || format('options: there is no field %s; there are %s',
                quote_ident(left(field, 80)), array_to_string(fields, ', '));
        elsif sort <> wanted and sort <> 'null' then
            problems := problems || format('options: %s is a %s; write a %s', field, sort, wanted);
        end if;
    end loop;
    if options ->> 'id' is not null and options ->> 'key' is not null then
        problems := problems || 'options: key cannot stand beside id; give one of them'::text;
    end if;
    if options ->> 'delay' is not null and options ->> 'at' is not null then
        problems := problems || 'options: at cannot stand beside delay; give one of them'::text;
    end if;
    return problems;
end
$$;

-- Puts a task in as part of the transaction that calls it, and returns its id: the one that options give, else a
-- new one; NULL where a key names the task.
create function leveret_enqueue(kind text, args jsonb default 'null', options jsonb default '{}')
returns text
language plpgsql volatile
set search_path from current
as $$
#variable_conflict use_variable
declare
    problems constant text[] := leveret_problems(kind, options);
    minted constant uuid := leveret_mint_id();
begin
    if cardinality(problems) > 0 then
        raise exception 'failed to enqueue: %', array_to_string(problems, '; ')
            using errcode = 'invalid_parameter_value';
    end if;
    insert into leveret_outbox (id, kind, args, options) values (minted, kind, coalesce(args, 'null'), options);
    return case
        when options ->> 'id' is not null then options ->> 'id'
        when options ->> 'key' is not null then null
        else minted::text
    end;
end
$$;

-- Wakes the relay, at the commit. Notifications have transactions that commit at once take turns in PostgreSQL;
-- where that costs too much, disable both triggers: the relay also looks by itself, each relay.poll.
create function leveret_wake_relay() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('leveret_outbox', '');
    return null;
end
$$;

create trigger leveret_outbox_wake after insert on leveret_outbox
    for each statement execute function leveret_wake_relay();

create trigger leveret_outbox_wake_again after update on leveret_outbox
    for each row when (old.refused_at is not null and new.refused_at is null)
    execute function leveret_wake_relay();

-- A refused row that somebody mends is tried again.
create function leveret_try_again() returns trigger
language plpgsql
as $$
begin
    new.refused_at := null;
    new.problem := null;
    new.tries := 0;
    new.next_at := null;
    return new;
end
$$;

create trigger leveret_outbox_mended before update on leveret_outbox
    for each row when (
        old.refused_at is not null
        and (new.refused_at is null or (old.kind, old.args, old.options) is distinct from (new.kind, new.args, new.options)))
    execute function leveret_try_again();

commit;
