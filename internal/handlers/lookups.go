package handlers

import (
	"strings"
	"sync"
	"time"

	"orgconsole/internal/stytch"
)

const (
	lookupAge  = time.Minute
	maxLookups = 1000
)

// lookups keeps for a minute what organizations allow, by any of their names.
type lookups struct {
	now func() time.Time

	mu   sync.Mutex // guards seen
	seen map[string]lookup
}

type lookup struct {
	organization stytch.Organization
	at           time.Time
}

func newLookups(now func() time.Time) *lookups { return &lookups{now: now, seen: map[string]lookup{}} }

func (l *lookups) get(name string) (stytch.Organization, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.seen[strings.ToLower(name)]
	return found.organization, ok && l.now().Sub(found.at) < lookupAge
}

func (l *lookups) put(name string, o stytch.Organization) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) >= maxLookups {
		clear(l.seen)
	}
	l.seen[strings.ToLower(name)] = lookup{o, l.now()}
}
