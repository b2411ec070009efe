package database

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// The two folders make the same tables. A migration is added to both or to neither, under one number. Number 5 is in
// hashesMigration.
//
//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// errNotAStore says that there is a database, but not one of ours.
var errNotAStore = errors.New("not a store of the console")

func newProvider(dialect goose.Dialect, db *sql.DB) (*goose.Provider, error) {
	folder := "migrations/sqlite"
	if dialect == goose.DialectPostgres {
		folder = "migrations/postgres"
	}
	dir, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(dialect, db, dir, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithGoMigrations(hashesMigration(dialect)))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// migrate brings the tables up to date. Nothing else may migrate the store meanwhile.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	p, err := newProvider(dialect, db)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return tooNew(have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func tooNew(have, want int64) error {
	return fmt.Errorf("its schema has version %d, this program knows %d: use the newer program", have, want)
}

// versions reads which version the tables have, and tells which one this program wants. It changes nothing.
func versions(ctx context.Context, dialect goose.Dialect, db *sql.DB) (have, want int64, err error) {
	p, err := newProvider(dialect, db)
	if err != nil {
		return 0, 0, err
	}
	sources := p.ListSources()
	var newest sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&newest); err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	return newest.Int64, sources[len(sources)-1].Version, nil
}

// checkSchema refuses to read a store whose tables are not those of this program.
func checkSchema(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	have, want, err := versions(ctx, dialect, db)
	switch {
	case err != nil:
		return err
	case have > want:
		return tooNew(have, want)
	case have < want:
		return fmt.Errorf("its schema has version %d, this program reads %d: start the console on it once", have, want)
	}
	return nil
}
