-- A file as the program with schema 1 left it: made by it, and dumped. Not to be edited: it stands
-- for the files that people have.
PRAGMA application_id = 1282830964;
PRAGMA user_version = 1;
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
) STRICT;
INSERT INTO "house" VALUES(1,'leveret',0);
CREATE TABLE ledger (
    id BLOB PRIMARY KEY,
    entry TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "ledger" VALUES(X'0192F0C123457ABC8DEF000000000001','R e37bb053fdcf4e37bbc19c3b31c30805 1790000000000000 5 1790000000000000 0 1 1 0 0 0',1790086400000);
INSERT INTO "ledger" VALUES(X'0192F0C123457ABC8DEF000000000005','D 0',1790086400000);
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
CREATE TABLE result (
    id BLOB PRIMARY KEY,
    result TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "result" VALUES(X'0192F0C123457ABC8DEF000000000005','{"rows":3}',1790086400000);
CREATE INDEX message_ready ON message (place, id) WHERE due_ms IS NULL;
CREATE INDEX message_delayed ON message (place, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX ledger_expiry ON ledger (expires_ms);
CREATE INDEX enqueued_expiry ON enqueued (expires_ms);
CREATE INDEX attempt_expiry ON attempt (expires_ms);
CREATE INDEX result_expiry ON result (expires_ms);
