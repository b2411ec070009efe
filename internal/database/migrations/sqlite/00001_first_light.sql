-- +goose Up

-- The audit: one Merkle tree (RFC 6962) for each organization, and one that lists them all.
CREATE TABLE audit_trees (
  tree            INTEGER PRIMARY KEY,  -- short name of the tree in the tables below
  organization_id TEXT    NOT NULL UNIQUE, -- '' for the system tree, which lists the others
  origin          TEXT    NOT NULL UNIQUE, -- first line of the tree's checkpoints; holds the random id of this store
  size            INTEGER NOT NULL,     -- events in the tree
  root            TEXT    NOT NULL      -- base64 root hash over them
) STRICT;
CREATE TABLE audit_events (
  tree         INTEGER NOT NULL,
  seq          INTEGER NOT NULL,        -- place in the tree, from 0 without gaps
  id           TEXT    NOT NULL UNIQUE, -- UUIDv7
  bytes        TEXT,                    -- the event, exactly as hashed. NULL is for bodies purged by a retention rule
  time         INTEGER NOT NULL,        -- unix ms. From here on: copied out of bytes for searching
  action       TEXT    NOT NULL,
  phase        TEXT    NOT NULL,
  operation_id TEXT    NOT NULL,
  outcome      TEXT    NOT NULL,
  actor_id     TEXT    NOT NULL,        -- member id
  target_id    TEXT    NOT NULL,
  PRIMARY KEY (tree, seq)
) STRICT;
CREATE INDEX audit_events_by_operation ON audit_events (tree, operation_id, seq) WHERE operation_id <> '';
CREATE TABLE audit_subjects (
  tree   INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  field  TEXT    NOT NULL,              -- which text of the event: actor.email, target.label, target.email, source.ip
  salt   TEXT,                          -- hex of 16 random bytes. salt, text and folded are NULL together when the person was erased
  text   TEXT,                          -- personal text; the event's bytes hold hex SHA-256 of salt and text
  folded TEXT,                          -- text with case folded, for searching
  PRIMARY KEY (tree, seq, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_hashes (
  tree INTEGER NOT NULL,
  idx  INTEGER NOT NULL,                -- stored hash index of golang.org/x/mod/sumdb/tlog
  hash BLOB    NOT NULL,                -- 32 bytes
  PRIMARY KEY (tree, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_checkpoints (
  tree INTEGER PRIMARY KEY,             -- one for each tree: an older one would be a signed excuse for a shortened tree
  size INTEGER NOT NULL,
  note TEXT    NOT NULL                 -- signed note over origin, size and root
) STRICT;

-- The helpdesk.
CREATE TABLE operations (
  id                  TEXT PRIMARY KEY, -- UUIDv7, made when the confirmation page was shown: the same form twice is one operation
  organization_id     TEXT NOT NULL,
  root_id             TEXT NOT NULL,    -- the operation it was asked together with (itself when it stands alone)
  retry_of            TEXT NOT NULL,    -- the earlier attempt this one repeats, or ''
  attempt             INTEGER NOT NULL, -- 1 for the first
  action              TEXT NOT NULL,    -- audit action
  state               TEXT NOT NULL,    -- asked, intent, unknown, final
  outcome             TEXT NOT NULL,    -- audit outcome; '' until one is known
  target_id           TEXT NOT NULL,    -- member id
  password_id         TEXT NOT NULL,    -- the password meant, resolved from a fresh read; '' for other actions
  actor_id            TEXT NOT NULL,    -- member id of who asked
  record              TEXT NOT NULL,    -- JSON of the operation as helpdesk reads it back; never a token or a password
  created_at          INTEGER NOT NULL, -- unix ms: intent committed
  called_until        INTEGER NOT NULL, -- unix ms: when the upstream call ended, or its deadline while it runs
  lease_owner         TEXT NOT NULL,    -- process that may settle it, or ''
  lease_until         INTEGER NOT NULL  -- unix ms
);
CREATE INDEX operations_by_root   ON operations (organization_id, root_id, created_at);
CREATE INDEX operations_by_target ON operations (organization_id, target_id, action, created_at);
CREATE INDEX operations_open      ON operations (state, called_until) WHERE state <> 'final';
CREATE TABLE ended_sessions (
  token_hash TEXT PRIMARY KEY,  -- hex SHA-256 of the session token; the token itself is never stored
  ended_at   INTEGER NOT NULL,  -- unix ms
  expires_at INTEGER NOT NULL   -- unix ms: the row may go once the session could no longer be used anyway
);
