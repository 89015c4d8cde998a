-- A file as the program with schema 3 left it: that of `version_2.sql` with a timetable, and dumped. Not to
-- be edited: it stands for the files that people have.
PRAGMA application_id = 1282830964;
PRAGMA user_version = 3;
CREATE TABLE act (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    act TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "act" VALUES(X'0192F0C123457ABC8DEF000000000005',1,'{"id":"0192f0c1-2345-7abc-8def-000000000005","action":"replayed","replay":1,"at":1789999995000,"by":"lea"}',1790086400000);
CREATE TABLE attempt (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    note TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "attempt" VALUES(X'0192F0C123457ABC8DEF000000000005',1,'{"id":"0192f0c1-2345-7abc-8def-000000000005","kind":"report","lane":{"queue":"slow","class":"low"},"order":{"replay":0,"attempt":1},"worker":"here/1","started_at":1789999999000,"ended_at":1790000000000,"outcome":"done"}',1790086400000);
CREATE TABLE enqueued (
    id BLOB PRIMARY KEY,
    record TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "enqueued" VALUES(X'0192F0C123457ABC8DEF000000000001','{"id":"0192f0c1-2345-7abc-8def-000000000001","kind":"email.welcome","lane":{"queue":"mail","class":"high"},"at":1789999999001,"key":"order 7","tags":{"tenant":"42"},"args_fingerprint":"00000000-0000-0000-0000-000000000009"}',1790086400000);
INSERT INTO "enqueued" VALUES(X'0192F0C123457ABC8DEF000000000002','{"id":"0192f0c1-2345-7abc-8def-000000000002","kind":"email.welcome","lane":{"queue":"mail","class":"high"},"at":1789999999002,"key":"order 7","tags":{"tenant":"42"},"args_fingerprint":"00000000-0000-0000-0000-000000000009"}',1790086400000);
INSERT INTO "enqueued" VALUES(X'0192F0C123457ABC8DEF000000000005','{"id":"0192f0c1-2345-7abc-8def-000000000005","kind":"report","lane":{"queue":"slow","class":"low"},"at":1789999999005,"key":"order 7","tags":{"tenant":"42"},"args_fingerprint":"00000000-0000-0000-0000-000000000009"}',1790086400000);
CREATE TABLE house (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    namespace TEXT NOT NULL,
    -- Counts the writes of `check`, which have to reach the disk to mean anything.
    checks INTEGER NOT NULL DEFAULT 0
, epoch INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "house" VALUES(1,'leveret',0,1790000000000000);
CREATE TABLE ledger (
    id BLOB PRIMARY KEY,
    entry TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "ledger" VALUES(X'0192F0C123457ABC8DEF000000000001','R e37bb053fdcf4e37bbc19c3b31c30805 1790000000000000 5 1790000000000000 0 1 1 0 0 0',1790086400000);
INSERT INTO "ledger" VALUES(X'0192F0C123457ABC8DEF000000000005','D 0',1790086400000);
CREATE TABLE letter (
    id BLOB PRIMARY KEY NOT NULL,
    queue TEXT NOT NULL,
    replay INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    died_ms INTEGER NOT NULL,
    letter TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
INSERT INTO "letter" VALUES(X'0192F0C123457ABC8DEF000000000004','mail',0,3,1789999904500,'{"id":"0192f0c1-2345-7abc-8def-000000000004","queue":"mail","kind":"email.welcome","origin":"mail.high","order":{"replay":0,"attempt":3},"reason":"attempts-exhausted","class":"smtp","error":"refused","died_at":1789999904500,"key":"order 7","args":"{\"n\":4}","args_size":7,"described_at":1789999905000}',1797776000000);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    place TEXT NOT NULL,
    due_ms INTEGER,
    wire TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
INSERT INTO "message" VALUES(1,'mail.high',NULL,'{"message_id":"0192f0c1-2345-7abc-8def-000000000001","type":"email.welcome","content_type":"application/json","timestamp":1789999901,"app_id":"shop","headers":{"lv-attempt":{"int":1},"lv-key":{"text":"order 7"}}}',X'7B226E223A317D');
INSERT INTO "message" VALUES(2,'mail.high',NULL,'{"message_id":"0192f0c1-2345-7abc-8def-000000000002","type":"email.welcome","content_type":"application/json","timestamp":1789999902,"app_id":"shop","headers":{"lv-attempt":{"int":1},"lv-key":{"text":"order 7"}}}',X'009F9296');
INSERT INTO "message" VALUES(3,'mail.high',1790003600000,'{"message_id":"0192f0c1-2345-7abc-8def-000000000003","type":"email.welcome","content_type":"application/json","timestamp":1789999903,"app_id":"shop","headers":{"lv-attempt":{"int":1},"lv-key":{"text":"order 7"}}}',X'7B226E223A337D');
INSERT INTO "message" VALUES(4,'dead/mail',NULL,'{"message_id":"0192f0c1-2345-7abc-8def-000000000004","type":"email.welcome","content_type":"application/json","timestamp":1789999904,"app_id":"shop","headers":{"lv-attempt":{"int":1},"lv-key":{"text":"order 7"}}}',X'7B226E223A347D');
CREATE TABLE occurrence (
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    occurrence TEXT NOT NULL,
    PRIMARY KEY (name, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE pause (
    queue TEXT PRIMARY KEY,
    pause TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "pause" VALUES('slow','{"queue":"slow","at":1789999990000,"by":"lea","why":"it is full"}');
CREATE TABLE position (
    name TEXT PRIMARY KEY NOT NULL,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "position" VALUES('report.nightly','0 0 1795301627560 - -');
CREATE TABLE result (
    id BLOB PRIMARY KEY,
    result TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "result" VALUES(X'0192F0C123457ABC8DEF000000000005','{"rows":3}',1790086400000);
CREATE TABLE schedule (
    name TEXT PRIMARY KEY NOT NULL,
    revision INTEGER NOT NULL,
    entry TEXT NOT NULL
) STRICT;
INSERT INTO "schedule" VALUES('report.nightly',1,'{"name":"report.nightly","definition":{"when":"0 2 * * *","zone":"Europe/Berlin","kind":"report.build","args":null},"source":{"from":"api","by":"lea"},"revision":0,"since":1795301627560,"created_at":1795301627560,"changed_at":1795301627560}');
CREATE TABLE schedule_change (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "schedule_change" VALUES(1,'report.nightly');
CREATE TABLE schedule_removal (
    seq INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL
) STRICT;
CREATE TABLE seen (
    lane TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (lane, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO "seen" VALUES('mail.high','email.welcome',1789999999002);
INSERT INTO "seen" VALUES('slow.low','report',1789999999005);
CREATE TABLE timetable (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Drawn at random: another timetable is told apart by it.
    incarnation INTEGER NOT NULL,
    -- Counts the changes to entries.
    version INTEGER NOT NULL,
    -- How many schedules there are.
    schedules INTEGER NOT NULL
) STRICT;
INSERT INTO "timetable" VALUES(1,8551553503036849138,1,1);
CREATE INDEX message_ready ON message (place, id) WHERE due_ms IS NULL;
CREATE INDEX message_delayed ON message (place, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX ledger_expiry ON ledger (expires_ms);
CREATE INDEX enqueued_expiry ON enqueued (expires_ms);
CREATE INDEX attempt_expiry ON attempt (expires_ms);
CREATE INDEX result_expiry ON result (expires_ms);
CREATE INDEX letter_list ON letter (queue, died_ms, id, expires_ms);
CREATE INDEX letter_expiry ON letter (expires_ms);
CREATE INDEX act_expiry ON act (expires_ms);
CREATE INDEX seen_order ON seen (at_ms);
