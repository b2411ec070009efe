-- +goose Up

-- How far the audit was sent out. The rows are no part of the proof.
CREATE TABLE audit_streams (
  stream       TEXT    NOT NULL, -- sink: events, witness: checkpoints
  tree         INTEGER NOT NULL,
  sent         INTEGER NOT NULL, -- records of the tree, from its beginning, that were accepted
  sent_root    TEXT    NOT NULL, -- of the tree of these records; '': none were sent
  pending      INTEGER NOT NULL, -- records that are accepted once the batch under way is; 0: there is none
  failures     INTEGER NOT NULL, -- since the last acceptance
  next_at      INTEGER NOT NULL, -- unix ms: nothing is sent of the tree before
  problem      TEXT    NOT NULL, -- why the last one failed, for people; '' since the last acceptance
  delivered_at INTEGER NOT NULL, -- unix ms: the last acceptance; 0: never
  PRIMARY KEY (stream, tree)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_stream_leases (
  stream      TEXT    PRIMARY KEY,
  lease_owner TEXT    NOT NULL,  -- process that sends, or ''
  lease_until INTEGER NOT NULL   -- unix ms
) STRICT, WITHOUT ROWID;
