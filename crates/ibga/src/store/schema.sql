CREATE TABLE gateway (
    name TEXT PRIMARY KEY,
    memory TEXT,
    no_go TEXT,
    aside TEXT
) STRICT;
CREATE TABLE transition (
    id INTEGER PRIMARY KEY,
    gateway TEXT NOT NULL,
    at INTEGER NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    text TEXT
) STRICT;
CREATE INDEX transition_by_gateway ON transition (gateway, id);
CREATE TABLE act (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    gateway TEXT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    by TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE alert (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    gateway TEXT NOT NULL,
    at INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE TABLE delivery (
    alert INTEGER NOT NULL REFERENCES alert (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    gateway TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dropped')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    ended_at INTEGER,
    answer TEXT,
    PRIMARY KEY (alert, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_waiting ON delivery (gateway, channel, alert) WHERE state = 'waiting';
CREATE TABLE lease (
    gateway TEXT NOT NULL,
    channel TEXT NOT NULL,
    holder TEXT NOT NULL,
    boot TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, channel)
) STRICT, WITHOUT ROWID;
