-- +goose Up

-- The personal texts of an event and the salt of each, of which the event's bytes hold hex SHA-256 of salt and text: one
-- row for an event that has any. '' is where the event has no such text. Both are NULL when the person was erased.
CREATE TABLE audit_texts (
  tree              INTEGER NOT NULL,
  seq               INTEGER NOT NULL,
  actor_email       TEXT,
  target_label      TEXT,
  target_email      TEXT,
  source_ip         TEXT,
  actor_email_salt  TEXT, -- hex of 16 random bytes
  target_label_salt TEXT,
  target_email_salt TEXT,
  source_ip_salt    TEXT,
  PRIMARY KEY (tree, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO audit_texts (tree, seq, actor_email, target_label, target_email, source_ip, actor_email_salt, target_label_salt, target_email_salt, source_ip_salt)
  SELECT tree, seq,
    CASE count(*) FILTER (WHERE field = 'actor.email')  WHEN 0 THEN '' ELSE max(text) FILTER (WHERE field = 'actor.email')  END,
    CASE count(*) FILTER (WHERE field = 'target.label') WHEN 0 THEN '' ELSE max(text) FILTER (WHERE field = 'target.label') END,
    CASE count(*) FILTER (WHERE field = 'target.email') WHEN 0 THEN '' ELSE max(text) FILTER (WHERE field = 'target.email') END,
    CASE count(*) FILTER (WHERE field = 'source.ip')    WHEN 0 THEN '' ELSE max(text) FILTER (WHERE field = 'source.ip')    END,
    CASE count(*) FILTER (WHERE field = 'actor.email')  WHEN 0 THEN '' ELSE max(salt) FILTER (WHERE field = 'actor.email')  END,
    CASE count(*) FILTER (WHERE field = 'target.label') WHEN 0 THEN '' ELSE max(salt) FILTER (WHERE field = 'target.label') END,
    CASE count(*) FILTER (WHERE field = 'target.email') WHEN 0 THEN '' ELSE max(salt) FILTER (WHERE field = 'target.email') END,
    CASE count(*) FILTER (WHERE field = 'source.ip')    WHEN 0 THEN '' ELSE max(salt) FILTER (WHERE field = 'source.ip')    END
  FROM audit_subjects GROUP BY tree, seq ORDER BY tree, seq;
DROP TABLE audit_subjects;
