package audit_test

import "testing"

// manyRecords is called by tests with more records than the race detector gets through in a reasonable time. "Many" is in their
// names, and make test runs them a second time, without it.
func manyRecords(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("many records: run without the race detector, as make test does after all others")
	}
}
