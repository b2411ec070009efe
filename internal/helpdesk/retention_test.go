package helpdesk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"orgconsole/internal/audit"
	"orgconsole/internal/helpdesk"
)

func TestPurgeForgetsOperations(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
		old := d.delete(d.request())
		d.pass(100 * 24 * time.Hour)
		d.up.setPassword(pwID)
		young := d.delete(d.request())
		records, operations, err := d.Purge(t.Context(), 90)
		if err != nil || records == 0 || operations == 0 {
			t.Fatalf("Purge: %d records, %d operations, %v", records, operations, err)
		}
		if _, err := d.Operation(t.Context(), orgID, old.ID); !errors.Is(err, helpdesk.ErrNotFound) {
			t.Errorf("the old operation: %v, want ErrNotFound", err)
		}
		if _, err := d.Operation(t.Context(), orgID, young.ID); err != nil {
			t.Errorf("the young operation: %v", err)
		}
		if records, operations, err := d.Purge(t.Context(), 90); err != nil || records != 0 || operations != 0 {
			t.Errorf("Purge again: %d records, %d operations, %v", records, operations, err)
		}
	})
}

func TestEraseLeavesNoCopy(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, d *desk) {
		op := d.delete(d.request())
		if op.Target.Email == "" {
			t.Fatal("the operation names nobody")
		}
		done, err := helpdesk.Erase(t.Context(), d.db, d.log, orgID, audit.Erasure{MemberID: op.Target.MemberID, Reason: "asked for"})
		if err != nil || done.Texts == 0 || done.Operations == 0 || done.Unsettled != 0 {
			t.Fatalf("Erase: %+v, %v", done, err)
		}
		left, err := d.Operation(t.Context(), orgID, op.ID)
		if err != nil {
			t.Fatal(err)
		}
		record, err := json.Marshal(left)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(record), op.Target.Email) || op.Target.Name != "" && strings.Contains(string(record), op.Target.Name) || !left.Target.Erased || left.Target.MemberID != op.Target.MemberID {
			t.Errorf("left: %s", record)
		}
		if left.Actor.Email == "" || left.Actor.Erased {
			t.Errorf("the one who did it is gone, too: %+v", left.Actor)
		}
		if done, err := helpdesk.Erase(t.Context(), d.db, d.log, orgID, audit.Erasure{MemberID: op.Target.MemberID, Reason: "asked for"}); err != nil || done != (helpdesk.Erased{}) {
			t.Errorf("Erase again: %+v, %v", done, err)
		}
	})
}
