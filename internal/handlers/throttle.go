package handlers

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"orgconsole/internal/helpdesk"
)

// What attempts to sign in cost. A failure's cost is taken before the attempt,
// so that many at once find out no more than many in a row; what a success
// did not need is given back.
const (
	costFailure = 2
	costSuccess = 1
)

// throttle slows down guessing: by address, by account and by organization,
// and what is mailed by mailbox. A
// busy desk stays well below: 20 successes a minute from one address and 10
// for one account pass at any time.
type throttle struct {
	now  func() time.Time
	seed maphash.Seed

	mu           sync.Mutex // guards the tables
	address      bucketTable
	account      bucketTable
	organization bucketTable
	email        bucketTable // of one person in all organizations, where one password may serve in each
	code         bucketTable // of one person's guesses at codes
	mail         bucketTable
	mailDay      bucketTable
	shared       bucketTable // refused sessions of other applications, by address
}

// bucketCount bounds the memory of a table. Keys that meet in one bucket, at
// places nobody outside can foretell, share what it allows.
const bucketCount = 8192

type bucketTable struct {
	size    float64 // how much may be spent at once
	refill  float64 // how much comes back in a second
	buckets []bucket
}

// bucket says how much was spent and not yet given back, and as of when.
type bucket struct {
	spent float64
	at    time.Time
}

func newThrottle(now func() time.Time) *throttle {
	table := func(size, perMinute float64) bucketTable {
		return bucketTable{size: size, refill: perMinute / 60, buckets: make([]bucket, bucketCount)}
	}
	return &throttle{
		now: now, seed: maphash.MakeSeed(),
		address: table(120, 60), account: table(40, 15), organization: table(600, 300),
		email: table(80, 30), code: table(40, 3), mail: table(10, 4), mailDay: table(100, 100./(24*60)), shared: table(60, 30),
	}
}

// attempt is one that was let through.
type attempt struct {
	t       *throttle
	buckets []*bucket
}

// begin lets an attempt through, or says how long to wait.
func (t *throttle) begin(ip, organization, email string) (*attempt, time.Duration) {
	return t.spend(t.limits(ip, organization, email))
}

// beginMail is begin for what sends a mail or a text message: nobody's mailbox
// is filled from here, however many organizations are named. It always costs
// what a failure does.
func (t *throttle) beginMail(ip, organization, to string) (*attempt, time.Duration) {
	to = strings.ToLower(to)
	return t.spend(append(t.limits(ip, organization, to), limit{&t.mail, to}, limit{&t.mailDay, to}))
}

// beginAddress is begin for what names no account.
func (t *throttle) beginAddress(ip string) (*attempt, time.Duration) {
	return t.spend([]limit{{&t.address, helpdesk.Network(ip)}})
}

// beginGuess is begin for a code that no member's lock stands behind: some
// ninety wrong ones an hour.
func (t *throttle) beginGuess(ip, organization, email string) (*attempt, time.Duration) {
	return t.spend(append(t.limits(ip, organization, email), limit{&t.code, strings.ToLower(email)}))
}

// beginShared is begin for asking about a session that another application is
// said to have. One that is alive costs nothing.
func (t *throttle) beginShared(ip string) (*attempt, time.Duration) {
	return t.spend([]limit{{&t.shared, helpdesk.Network(ip)}})
}

func (t *throttle) limits(ip, organization, email string) []limit {
	organization, email = strings.ToLower(organization), strings.ToLower(email)
	limits := []limit{{&t.address, helpdesk.Network(ip)}, {&t.account, organization + "\x00" + email}, {&t.organization, organization}}
	if email != "" {
		limits = append(limits, limit{&t.email, email})
	}
	return limits
}

// limit is one bucket that an attempt is paid from.
type limit struct {
	table *bucketTable
	key   string
}

func (t *throttle) spend(limits []limit) (*attempt, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	a := &attempt{t: t}
	var wait time.Duration
	for _, one := range limits {
		b := &one.table.buckets[maphash.String(t.seed, one.key)%bucketCount]
		b.spent = max(0, b.spent-one.table.refill*max(0, now.Sub(b.at).Seconds()))
		b.at = now
		if over := b.spent + costFailure - one.table.size; over > 0 {
			wait = max(wait, time.Duration(over/one.table.refill*float64(time.Second)))
		}
		a.buckets = append(a.buckets, b)
	}
	if wait > 0 {
		return nil, wait
	}
	a.add(costFailure)
	return a, 0
}

// succeeded gives back what a failure would have cost more.
func (a *attempt) succeeded() { a.giveBack(costFailure - costSuccess) }

// undecided gives it back: the upstream did not say whether the password was
// right. The address alone still pays what a success costs: each attempt is
// calls to the upstream and may be a record in the audit.
func (a *attempt) undecided() {
	a.giveBack(costFailure)
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.buckets[0].spent += costSuccess
}

func (a *attempt) giveBack(n float64) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.add(-n)
}

func (a *attempt) add(n float64) {
	for _, b := range a.buckets {
		b.spent = max(0, b.spent+n)
	}
}
