-- +goose Up

-- What is old enough to be purged, and what the audit page filters by. A purged record keeps tree, seq, id and
-- operation_id; its time is 0 and its other columns are ''.
CREATE INDEX audit_events_by_time ON audit_events (tree, time, seq);
-- The events that say why other records are not whole, and who signs. Queries have to repeat the condition.
CREATE INDEX audit_events_covering ON audit_events (tree, seq) WHERE action IN ('audit.purge', 'audit.erase', 'audit.key.change');
