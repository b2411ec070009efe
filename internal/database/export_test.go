package database

import (
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Numbered is numbered.
func Numbered(query string) string { return numbered(query) }

// PostgresName is the name of the store at an address.
func PostgresName(rawURL string) (string, error) {
	config, err := postgresConfig(rawURL)
	if err != nil {
		return "", err
	}
	return postgresName(config), nil
}

// WeakestTLS says how well the worst way of connecting to an address is protected.
func WeakestTLS(rawURL string) string {
	config, err := postgresConfig(rawURL)
	if err != nil {
		return err.Error()
	}
	ways := append([]*pgconn.FallbackConfig{{TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	weakest := "verified"
	for _, way := range ways {
		switch {
		case way.TLSConfig == nil:
			return "clear"
		case way.TLSConfig.InsecureSkipVerify && way.TLSConfig.VerifyPeerCertificate == nil:
			weakest = "encrypted"
		}
	}
	return weakest
}

// ShiftClock has a PostgreSQL store's clock go wrong, some time after it was set.
func ShiftClock(db *DB, by time.Duration) {
	clock := &db.dialect.(*postgresDialect).clock
	clock.mu.Lock()
	defer clock.mu.Unlock()
	clock.time = clock.time.Add(by)
	clock.at = clock.at.Add(-clockAge)
	clock.time = clock.time.Add(-clockAge)
}
