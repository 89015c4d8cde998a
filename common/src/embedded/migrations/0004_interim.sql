-- What running attempts say of themselves, as JSON; the latest saying, by fence and turn, is kept.
CREATE TABLE interim (
    id BLOB PRIMARY KEY NOT NULL,
    fence INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    interim TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX interim_expiry ON interim (expires_ms);
