-- +goose Up

-- What the audit page searches by: which records have a word, an outcome, a quarter of an hour, and so on. All of it
-- follows from the events and their texts: it can be dropped and is made again, and verifying holds it against them.
CREATE TABLE audit_segments (
  tree       INTEGER NOT NULL,
  level      INTEGER NOT NULL,  -- how many records: 0 for 256, 1 for 4,096, 2 for 65,536
  segment    INTEGER NOT NULL,  -- its place among those of its level
  first_time INTEGER NOT NULL,  -- unix ms: the earliest time of its records; 1 before last_time 0 when all were purged
  last_time  INTEGER NOT NULL,
  PRIMARY KEY (tree, level, segment)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_terms (
  tree    INTEGER NOT NULL,
  level   INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  first   BLOB    NOT NULL,     -- no term of the block is less; empty in the first block of a segment
  block   BLOB    NOT NULL,     -- terms in order, each with the places it is at
  PRIMARY KEY (tree, level, segment, first)
) STRICT;
