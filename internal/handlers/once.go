package handlers

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// onceTime is how long a second click may come after the first was answered.
	onceTime = 15 * time.Second
	maxOnce  = 2000
)

// onceSteps lets a step that was taken be taken again for a moment: a token
// is good once, a button is pressed twice. What failed is not kept.
type onceSteps struct {
	now   func() time.Time
	key   []byte // keys are kept as its HMAC: they hold what people typed
	group singleflight.Group

	mu    sync.Mutex // guards taken
	taken map[string]takenStep
}

type takenStep struct {
	step step
	at   time.Time
}

func newOnceSteps(now func() time.Time) *onceSteps {
	return &onceSteps{now: now, key: []byte(rand.Text()), taken: map[string]takenStep{}}
}

// do takes a step unless the same was taken just now: by the same browser, as
// the sign-in's id says, in the same way, with the same secret.
func (o *onceSteps) do(id string, w way, secret string, take func() (step, error)) (step, error) {
	key := o.mac(id, string(w), secret)
	v, err, _ := o.group.Do(key, func() (any, error) {
		if st, ok := o.recall(key); ok {
			return st, nil
		}
		st, err := take()
		if err == nil {
			o.keep(key, st)
		}
		return st, err
	})
	st, _ := v.(step)
	return st, err
}

func (o *onceSteps) mac(parts ...string) string {
	mac := hmac.New(sha256.New, o.key)
	_, _ = fmt.Fprintf(mac, "%q", parts)
	return string(mac.Sum(nil))
}

func (o *onceSteps) recall(key string) (step, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t, ok := o.taken[key]
	return t.step, ok && o.now().Sub(t.at) < onceTime
}

func (o *onceSteps) keep(key string, st step) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for k, t := range o.taken {
		if now.Sub(t.at) >= onceTime {
			delete(o.taken, k)
		}
	}
	if len(o.taken) >= maxOnce {
		clear(o.taken)
	}
	o.taken[key] = takenStep{st, now}
}
