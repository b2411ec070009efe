package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orgconsole/internal/audit"
)

func (s *store) receipt(tb testing.TB, operationIDs ...string) []byte {
	tb.Helper()
	file, err := s.log.Receipt(tb.Context(), acme, operationIDs...)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	onEach(t, testReceipt)
}

func testReceipt(t *testing.T, s *store) {
	var recorded []audit.Event
	for n := range 9 {
		ev := deletion(acme, n)
		if n == 5 {
			ev.Outcome, ev.Detail, ev.HTTP = audit.OutcomeUnknown, "no_answer", audit.HTTP{}
		}
		recorded = append(recorded, s.record(t, ev))
	}
	again := deletion(acme, 5)
	again.Actor, again.Source, again.Detail = audit.Actor{System: true}, audit.Source{}, "re-read"
	recorded = append(recorded, s.record(t, again))

	file := s.receipt(t, "operation-2", "operation-4")
	report, err := audit.VerifyReceipt(bytes.NewReader(file), s.public)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	at := func(n int) string { return recorded[n].Time.Format("2006-01-02T15:04:05.000Z") }
	want := []string{
		"Delete password: succeeded",
		"- operation operation-2",
		`- target: Person 2 "Ö%_", person2@acme.example, member-test-2`,
		"- actor: helpdesk@acme.example, member-test-helpdesk; signed in with password, totp",
		"- password: member-password-test-2",
		"- reason: caller lost the phone and said so",
		"- ticket: HD-1",
		"- " + at(4) + " record 4: asked for, before anything was sent",
		"- " + at(5) + " record 5: unknown, known from: no answer, request request-id-test-5",
		"- " + at(9) + " record 9: succeeded, known from: re-read, Stytch's status 200, request request-id-test-5",
		"Delete password: unknown",
		"- operation operation-4",
		`- target: Person 4 "Ö%_", person4@acme.example, member-test-4`,
		"- actor: helpdesk@acme.example, member-test-helpdesk; signed in with password, totp",
		"- password: member-password-test-4",
		"- reason: caller lost the phone and said so",
		"- ticket: HD-1",
		"- " + at(8) + " record 8: asked for, before anything was sent",
	}
	if diff := cmp.Diff(want, report.Statement[4:len(report.Statement)-1]); diff != "" {
		t.Errorf("statement (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(report.Statement[3], "Records: 4, 5, 8, 9; digest ") || report.Records != 4 {
		t.Errorf("%d records, %q", report.Records, report.Statement[3])
	}
	if bytes.Contains(file, []byte("192.0.2.7")) {
		t.Error("the address of the request is in the receipt")
	}
	if report.Missing != 3 {
		t.Errorf("%d texts missing, want the three addresses", report.Missing)
	}
	if _, err := audit.VerifyReceipt(bytes.NewReader(file), mustPublic(t)); !errors.Is(err, audit.ErrWrongKey) {
		t.Errorf("with another key: %v, want ErrWrongKey", err)
	}
	if _, err := audit.VerifyExport(bytes.NewReader(file), s.public); !errors.Is(err, audit.ErrNotAnExport) {
		t.Errorf("as an export: %v, want ErrNotAnExport", err)
	}
	for _, ids := range [][]string{nil, {""}, {"operation-99"}} {
		if _, err := s.log.Receipt(t.Context(), acme, ids...); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("Receipt(%q): %v, want ErrNotFound", ids, err)
		}
	}
	if _, err := s.log.Receipt(t.Context(), globex, "operation-2"); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("Receipt of another organization: %v, want ErrNotFound", err)
	}
}

func mustPublic(tb testing.TB) string {
	tb.Helper()
	_, public := mustKey(tb)
	return public
}

func TestReceiptOfHostileAndErasedText(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, ev := range s.recordHostile(t) {
		if ev.OperationID == "" {
			continue
		}
		file := s.receipt(t, ev.OperationID)
		report, err := audit.VerifyReceipt(bytes.NewReader(file), s.public)
		if err != nil {
			t.Errorf("%q: %v", ev.OperationID, err)
			continue
		}
		if len(report.Statement) != 4+8+1 {
			t.Errorf("%q has become lines: %q", ev.OperationID, report.Statement)
		}
	}
	if _, err := s.erase(t, acme, audit.Erasure{MemberID: "+1", Reason: "DPO-7"}); err != nil {
		t.Fatal(err)
	}
	file := s.receipt(t, "+1")
	if report, err := audit.VerifyReceipt(bytes.NewReader(file), s.public); err != nil || !slices.Contains(report.Statement, "- target: (erased), (erased), +1") {
		t.Errorf("%q, %v", report.Statement, err)
	}
}

// Every byte counts but white space between the members.
func TestEveryByteOfAReceiptCounts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for n := range 4 {
		s.record(t, deletion(acme, n))
	}
	file := s.receipt(t, "operation-1")
	for i := range file {
		changed := slices.Clone(file)
		changed[i] ^= []byte{1, 0x20}[i%2] // another character, or another case
		var before, after bytes.Buffer
		if json.Compact(&before, file) == nil && json.Compact(&after, changed) == nil && bytes.Equal(before.Bytes(), after.Bytes()) {
			continue
		}
		if _, err := audit.VerifyReceipt(bytes.NewReader(changed), s.public); err == nil {
			t.Errorf("byte %d of %d, %q made %q: verifies", i, len(file), file[max(0, i-20):i+1], changed[i])
		}
	}
}

// What somebody with other receipts does to one, and what verification says of it.
func TestVerifyReceiptSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for n := range 4 {
		s.record(t, deletion(acme, n))
	}
	edit := func(file []byte, change func(r map[string]any)) string {
		var r map[string]any
		if err := json.Unmarshal(file, &r); err != nil {
			t.Fatal(err)
		}
		change(r)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first, second := s.receipt(t, "operation-0"), s.receipt(t, "operation-1")
	of := func(file []byte) (r struct {
		Statement  []string
		Signature  string
		Records    []json.RawMessage
		Checkpoint string
	},
	) {
		if err := json.Unmarshal(file, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	var lined bytes.Buffer // the order of the members, as the encoder has it
	if err := json.Compact(&lined, first); err != nil {
		t.Fatal(err)
	}
	one, other := of(first), of(second)
	compacted := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	swap := func(from, to any) string { return strings.Replace(lined.String(), compacted(from), compacted(to), 1) }
	for name, c := range map[string]struct{ file, want string }{
		"the words":             {strings.Replace(string(first), "Delete password: succeeded", "Delete password: failed", 1), "signature does not fit"},
		"another's words":       {strings.Replace(swap(one.Statement, other.Statement), one.Signature, other.Signature, 1), "about other records"},
		"a record taken out":    {swap(one.Records, one.Records[:1]), "about other records"},
		"another's records":     {swap(one.Records, other.Records), "about other records"},
		"no records":            {swap(one.Records, []string{}), "about other records"},
		"a column of a record":  {strings.Replace(string(first), `"outcome": "succeeded"`, `"outcome": "failed"`, 1), "column outcome"},
		"members in disorder":   {edit(first, func(map[string]any) {}), "not as it was written"},
		"a member more":         {strings.Replace(string(first), `"version": 1`, `"version": 1, "note": "x"`, 1), `"note", which there is none of`},
		"a member twice":        {strings.Replace(string(first), `"version": 1`, `"statement": ["it never happened"], "version": 1`, 1), "not as it was written"},
		"something after":       {string(first) + "{}", "not an NDJSON export of the audit log, nor a receipt"},
		"another version":       {strings.Replace(string(first), `"version": 1`, `"version": 2`, 1), "version 2"},
		"another organization":  {strings.Replace(string(first), `"organization_id": "`+acme, `"organization_id": "`+globex, 1), "says that it is of organization"},
		"a checkpoint as words": {strings.Replace(swap(one.Statement, strings.Split(strings.SplitN(one.Checkpoint, "\n\n", 2)[0], "\n")), one.Signature, strings.TrimSpace(strings.SplitN(one.Checkpoint, "\n\n", 2)[1]), 1), "about other records"},
		"words as a checkpoint": {strings.Replace(lined.String(), compacted(one.Checkpoint), compacted(strings.Join(one.Statement, "\n")+"\n\n"+one.Signature+"\n"), 1), "checkpoint: "},
		"nothing":               {"", "nor a receipt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.file == string(first) || c.file == lined.String() {
				t.Fatal("nothing was changed")
			}
			_, err := audit.VerifyReceipt(strings.NewReader(c.file), s.public)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("VerifyReceipt: %v, want %q in it", err, c.want)
			}
			if errors.Is(err, audit.ErrTampered) == errors.Is(err, audit.ErrNotAnExport) {
				t.Errorf("VerifyReceipt: %v is of the wrong kind", err)
			}
		})
	}
	if _, err := audit.VerifyReceipt(strings.NewReader(lined.String()), s.public); err != nil {
		t.Errorf("without white space: %v", err)
	}
}

// A receipt is not made of what does not fit.
func TestReceiptOfWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for n := range 4 {
		s.record(t, deletion(acme, n))
	}
	s.tamper(t, `UPDATE audit_events SET bytes = replace(bytes, 'HD-1', 'HD-2') WHERE tree = 2 AND seq = 1`)
	if _, err := s.log.Receipt(t.Context(), acme, "operation-0"); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("Receipt: %v, want ErrTampered", err)
	}
}
