CREATE TABLE IF NOT EXISTS payments (
    order_id INTEGER PRIMARY KEY,
    receipt  TEXT NOT NULL,
    fence    INTEGER NOT NULL -- of the attempt that wrote this row
) STRICT;
