CREATE TABLE orders (
    number INTEGER PRIMARY KEY,
    cents  INTEGER NOT NULL CHECK (cents > 0)
) STRICT;
