package audit_test

import (
	"testing"

	"orgconsole/internal/database/databasetest"
)

// maker makes a place for a store of one kind.
type maker func(tb testing.TB) *databasetest.Store

// eachKind runs a test for each kind of store, which may make as many as it likes.
func eachKind(t *testing.T, test func(t *testing.T, place maker)) {
	t.Helper()
	for name, place := range map[string]maker{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place)
		})
	}
}

// backup copies the store and returns what puts the copy back in its place.
func (s *store) backup(tb testing.TB) (putBack func()) {
	tb.Helper()
	s.db.Close()
	kept := s.Copy(tb)
	s.open(tb)
	return func() {
		s.db.Close()
		s.Replace(tb, kept)
	}
}
