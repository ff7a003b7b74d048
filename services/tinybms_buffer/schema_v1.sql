-- Schema 1 of the offline buffer.

-- One row: a random name, so that a number of one database means nothing in another.
CREATE TABLE store (
    name TEXT NOT NULL
) STRICT;

-- Runs of the machine. wall_offset_ns: wall time minus CLOCK_BOOTTIME once the wall clock was right.
CREATE TABLE machine_run (
    id INTEGER PRIMARY KEY,
    kernel_boot_id TEXT NOT NULL UNIQUE,
    wall_offset_ns INTEGER
) STRICT;

-- Starts of the process that made the records. is_gap: this process itself, about what is missing.
CREATE TABLE origin (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL UNIQUE,
    machine_run INTEGER NOT NULL REFERENCES machine_run (id),
    is_gap INTEGER NOT NULL CHECK (is_gap IN (0, 1))
) STRICT;

-- rank: 0 alarm, 1 event, 2 sample. Numbers never come again, also after all rows are gone.
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rank INTEGER NOT NULL CHECK (rank BETWEEN 0 AND 2),
    origin INTEGER NOT NULL REFERENCES origin (id),
    seq INTEGER NOT NULL,
    suffix TEXT NOT NULL,
    live_seq INTEGER NOT NULL,
    value ANY,
    raw INTEGER,
    text TEXT NOT NULL,
    severity TEXT NOT NULL,
    wall_ns INTEGER NOT NULL,
    boottime_ns INTEGER NOT NULL,
    time_ok INTEGER NOT NULL CHECK (time_ok IN (0, 1))
) STRICT;

-- The order of delivery, and the proof against storing a record twice.
CREATE UNIQUE INDEX record_order ON record (rank, origin, seq);

-- How far the samples were thinned to one in level_s.
CREATE TABLE thinning (
    level_s INTEGER PRIMARY KEY,
    up_to_id INTEGER NOT NULL
) STRICT;
