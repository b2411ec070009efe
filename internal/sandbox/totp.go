package sandbox

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"image/png"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	totpPeriod         = 30 * time.Second
	totpSecretSize     = 20 // bytes
	totpIssuer         = "Org Console sandbox"
	qrSize             = 240 // pixels
	defaultTOTPMinutes = 60
	minTOTPMinutes     = 5
	maxTOTPMinutes     = 1440
)

// authenticator is an authenticator app that a member has registered or begun to. It is replaced, never changed.
type authenticator struct {
	id       string
	secret   string    // base32
	recovery []string  // codes not used yet
	step     uint64    // period of the last code that was taken: each is good once
	expires  time.Time // while it is not confirmed
}

func totpSecret(raw []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:totpSecretSize])
}

func totpStep(now time.Time) uint64 { return uint64(now.Unix()) / uint64(totpPeriod/time.Second) }

// code is what the app shows in a period.
func (a *authenticator) code(step uint64) string {
	code, err := hotp.GenerateCode(a.secret, step)
	if err != nil {
		panic(fmt.Sprintf("sandbox: TOTP secret: %v", err)) // made here, so it is base32
	}
	return code
}

// match finds the period of a code. Those before and after now are accepted, as clocks differ.
func (a *authenticator) match(code string, now time.Time) (step uint64, ok bool) {
	for step := totpStep(now) + 1; step+2 > totpStep(now); step-- {
		if a.code(step) == code {
			return step, true
		}
	}
	return 0, false
}

// authenticator is the one that a member has registered; nil: none. That of a seeded member is derived. It needs p.mu.
func (p *project) authenticator(m *member) *authenticator {
	id := m.json.TOTPRegistrationID
	if id == "" {
		return nil
	}
	if own := m.mfa.active; own != nil && own.id == id {
		return own
	}
	a := &authenticator{id: id, secret: totpSecret(p.ids.digest("totp secret", m.json.MemberID))}
	for i := range recoveryCodes {
		a.recovery = append(a.recovery, recoveryCode(p.ids.digest("recovery code", m.json.MemberID, strconv.Itoa(i))))
	}
	return a
}

// pending is the authenticator app that a member has begun to register; nil: none.
func (m *member) pending(now time.Time) *authenticator {
	if a := m.mfa.pending; a != nil && now.Before(a.expires) {
		return a
	}
	return nil
}

// nextCode is the code that a member's app shows, or, where that was used already, the one it shows next, which is
// accepted too; "": there is no app. It needs project.mu.
func (s *Sandbox) nextCode(m *member) string {
	a := s.project.authenticator(m)
	if a == nil {
		a = m.pending(s.now())
	}
	if a == nil {
		return ""
	}
	step := totpStep(s.now())
	if a.step >= step {
		step++
	}
	return a.code(step)
}

type totpReply struct {
	memberReply
	TOTPRegistrationID string   `json:"totp_registration_id"`
	Secret             string   `json:"secret"`
	QRCode             string   `json:"qr_code"`
	RecoveryCodes      []string `json:"recovery_codes"`
}

func createTOTP(c *call) (answer, error) {
	var in struct {
		secondInput
		Minutes *int `json:"expiration_minutes"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.checkSecond(false); err != nil {
		return nil, err
	}
	minutes := defaultTOTPMinutes
	if in.Minutes != nil {
		minutes = *in.Minutes
	}
	if minutes < minTOTPMinutes || minutes > maxTOTPMinutes {
		return nil, badRequest("expiration_minutes is 5 to 1440.")
	}
	raw := make([]byte, totpSecretSize)
	c.random(raw)
	begun := &authenticator{
		id: c.newID("totp-registration-test-"), secret: totpSecret(raw), recovery: c.newRecoveryCodes(),
		expires: c.nowUTC().Add(time.Duration(minutes) * time.Minute),
	}
	member, err := c.beginTOTP(in.secondInput, begun)
	if err != nil {
		return nil, err
	}
	qr, err := qrCode(member.Member.EmailAddress, raw)
	if err != nil {
		return nil, err
	}
	return &totpReply{
		memberReply: *member, TOTPRegistrationID: begun.id, Secret: begun.secret, QRCode: qr, RecoveryCodes: begun.recovery,
	}, nil
}

func (c *call) beginTOTP(in secondInput, begun *authenticator) (*memberReply, error) {
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, h, err := c.second(in, mfaTOTP)
	if err != nil {
		return nil, err
	}
	m := p.member(ref)
	switch {
	case m.json.TOTPRegistrationID != "":
		return nil, fail(http.StatusBadRequest, "active_totp_exists", "The member has an authenticator app already.")
	case m.pending(c.now()) != nil:
		return nil, fail(http.StatusBadRequest, "pending_totp_exists", "The member has begun to register an authenticator app already.")
	}
	if err := m.mayAdd(h); err != nil {
		return nil, err
	}
	if !c.dry {
		m = p.update(ref, func(m *member) { m.mfa.pending = begun })
	}
	return c.memberReply(ref, m), nil
}

// qrCode is the picture to scan with the app, as a data URI.
func qrCode(account string, raw []byte) (string, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: totpIssuer, AccountName: account, Secret: raw, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", fmt.Errorf("make TOTP key: %w", err)
	}
	picture, err := key.Image(qrSize, qrSize)
	if err != nil {
		return "", fmt.Errorf("draw QR code: %w", err)
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, picture); err != nil {
		return "", fmt.Errorf("encode QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(buf.Bytes()), nil
}

func authenticateTOTP(c *call) (answer, error) {
	var in struct {
		secondInput
		enrolment
		Code string `json:"code"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.checkSecond(true); err != nil {
		return nil, err
	}
	if err := in.checkEnrolment(); err != nil {
		return nil, err
	}
	if in.Code == "" {
		return nil, badRequest("The code is missing.")
	}
	key, p := c.keys.get(), c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, h, err := c.second(in.secondInput, mfaTOTP)
	if err != nil {
		return nil, err
	}
	m := p.member(ref)
	app := p.authenticator(m)
	if app == nil {
		if app = m.pending(c.now()); app == nil {
			return nil, fail(http.StatusNotFound, "totp_not_found", "The member has no authenticator app.")
		}
		if err := m.mayAdd(h); err != nil {
			return nil, err
		}
	}
	step, ok := app.match(in.Code, c.now())
	switch {
	case slices.Contains(app.recovery, tidyRecoveryCode(in.Code)):
		return nil, fail(http.StatusBadRequest, "recovery_code_used_as_totp_code", "This is a recovery code, not a code of the authenticator app.")
	case !ok:
		return nil, c.wrong(ref, fail(http.StatusUnauthorized, "unable_to_authenticate_totp", "The code is wrong or too old."))
	case step <= app.step:
		return nil, fail(http.StatusUnauthorized, "totp_code_already_authenticated", "The code was used already; wait for the next one.")
	}
	f := c.factor("totp", "authenticator_app")
	f.TOTPFactor = &totpFactor{TOTPID: app.id}
	return c.proveSecond(ref, h, key, f, func(m *member) {
		used := *app
		used.step, used.expires = step, time.Time{}
		m.mfa.active, m.mfa.pending = &used, nil
		m.json.TOTPRegistrationID = used.id
		in.apply(p.orgs[ref.org], m, mfaTOTP)
	})
}
