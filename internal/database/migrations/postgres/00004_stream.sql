-- +goose Up

-- How far the audit was sent out. The rows are no part of the proof.
CREATE TABLE audit_streams (
  stream       text COLLATE "C" NOT NULL, -- sink: events, witness: checkpoints
  tree         bigint NOT NULL,
  sent         bigint NOT NULL, -- records of the tree, from its beginning, that were accepted
  sent_root    text COLLATE "C" NOT NULL, -- of the tree of these records; '': none were sent
  pending      bigint NOT NULL, -- records that are accepted once the batch under way is; 0: there is none
  failures     bigint NOT NULL, -- since the last acceptance
  next_at      bigint NOT NULL, -- unix ms: nothing is sent of the tree before
  problem      text COLLATE "C" NOT NULL, -- why the last one failed, for people; '' since the last acceptance
  delivered_at bigint NOT NULL, -- unix ms: the last acceptance; 0: never
  PRIMARY KEY (stream, tree)
) WITH (fillfactor = 20);
CREATE TABLE audit_stream_leases (
  stream      text COLLATE "C" PRIMARY KEY,
  lease_owner text COLLATE "C" NOT NULL, -- process that sends, or ''
  lease_until bigint NOT NULL            -- unix ms
) WITH (fillfactor = 20);
