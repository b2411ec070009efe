-- +goose Up

-- Who reviewed the log last, and up to where. Queries have to repeat the condition.
CREATE INDEX audit_events_reviews ON audit_events (tree, actor_id, seq) WHERE action = 'audit.review' AND target_id >= '0-' AND target_id < '0.';
