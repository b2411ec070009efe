package e2e_test

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// eventBytes finds the one table of the store whose rows hold an event's bytes as readable text.
func eventBytes(t *testing.T, path, id string) (table, column string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Clean(path)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT m.name, p.name FROM sqlite_schema m JOIN pragma_table_info(m.name) p
		WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'id') AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'seq')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all [][2]string
	for rows.Next() {
		var c [2]string
		if err := rows.Scan(&c[0], &c[1]); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		n := 0
		query := `SELECT count(*) FROM ` + c[0] + ` WHERE id = ? AND instr(CAST(` + c[1] + ` AS TEXT), 'laptop') > 0 AND instr(CAST(` + c[1] + ` AS TEXT), '{') > 0`
		if err := db.QueryRowContext(t.Context(), query, id).Scan(&n); err == nil && n == 1 {
			return c[0], c[1]
		}
	}
	t.Fatalf("no column of the store holds the bytes of event %s as text; columns: %v", id, all)
	return "", ""
}
