package audit_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

// readCSV parses a file as strictly as RFC 4180 is written.
func readCSV(t *testing.T, file []byte) []map[string]string {
	t.Helper()
	if !utf8.Valid(file) {
		t.Error("not UTF-8")
	}
	if bytes.Count(file, []byte("\n")) != bytes.Count(file, []byte("\r\n")) {
		t.Error("a line does not end in CRLF")
	}
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var records []map[string]string
	for _, row := range rows[1:] {
		record := map[string]string{}
		for i, cell := range row {
			record[rows[0][i]] = cell
		}
		records = append(records, record)
	}
	return records
}

func TestCSVRow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	recorded := s.record(t, deletion(acme, 1))
	records := readCSV(t, s.export(t, audit.FormatCSV, acme, audit.Filter{}))
	if len(records) != 1 {
		t.Fatalf("%d rows, want 1", len(records))
	}
	_, evidence, err := s.log.Event(t.Context(), acme, recorded.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"organization_id": acme, "seq": "0", "id": recorded.ID, "time": recorded.Time.Format("2006-01-02T15:04:05.000Z"), "operation_id": "operation-0",
		"action": "member.password.delete", "phase": "outcome", "outcome": "succeeded", "reason": "caller lost the phone and said so", "ticket": "HD-1",
		"actor_member_id": "member-test-helpdesk", "actor_email": "helpdesk@acme.example", "actor_session_id": "session-test-1",
		"actor_auth_factors": "password totp", "actor_system": "false",
		"target_type": "member", "target_id": "member-test-0", "target_label": `Person 0 "Ö%_"`, "target_email": "person0@acme.example",
		"target_password_id": "member-password-test-0", "http_status": "200", "http_error_type": "", "upstream_request_id": "request-id-test-1",
		"attempt": "1", "count": "", "detail": "answer", "source_ip": "192.0.2.7", "source_user_agent": "test", "request_id": "request-1", "build": "test",
		"leaf_hash": evidence.LeafHash, "purged": "",
	}
	if diff := cmp.Diff(want, records[0]); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

// Whatever was typed, no cell begins like a formula or a command, and the text is read back whole.
func TestCSVRunsNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	recorded := s.recordHostile(t)
	records := readCSV(t, s.export(t, audit.FormatCSV, acme, audit.Filter{}))
	if len(records) != len(recorded) {
		t.Fatalf("%d rows for %d events", len(records), len(recorded))
	}
	for i, record := range records {
		for column, cell := range record {
			if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 {
				t.Errorf("column %s begins with %q", column, cell[:1])
			}
		}
		for column, want := range map[string]string{
			"reason": recorded[i].Reason, "target_label": recorded[i].Target.Label, "actor_email": recorded[i].Actor.Email,
			"source_user_agent": recorded[i].Source.UserAgent, "operation_id": recorded[i].OperationID,
		} {
			if got := strings.TrimPrefix(record[column], "'"); got != want && want != "'" {
				t.Errorf("%s: %q is read back as %q", column, want, got)
			}
		}
	}
}

// Several organizations make one table.
func TestCSVHasOneHeader(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.record(t, deletion(acme, 0))
	s.record(t, deletion(globex, 0))
	var file bytes.Buffer
	enc := audit.NewEncoder(&file, audit.FormatCSV, "test", s.clock.Now())
	for _, id := range []string{acme, globex} {
		if _, err := s.log.Reader().Export(t.Context(), id, audit.Filter{}, enc); err != nil {
			t.Fatal(err)
		}
	}
	records := readCSV(t, file.Bytes())
	if len(records) != 2 || records[0]["organization_id"] != acme || records[1]["organization_id"] != globex {
		t.Errorf("rows %v", records)
	}
}
