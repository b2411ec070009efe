package sandbox

import (
	"encoding/base32"
	"net/http"
	"slices"
	"strings"
)

// recoveryCodes is how many of them go with an authenticator app.
const recoveryCodes = 10

func recoveryCode(raw []byte) string {
	text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
	return text[0:4] + "-" + text[4:8] + "-" + text[8:12]
}

// tidyRecoveryCode forgives how a code was copied.
func tidyRecoveryCode(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

func (s *Sandbox) newRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		var b [10]byte
		s.random(b[:])
		codes[i] = recoveryCode(b[:])
	}
	return codes
}

func errRecoveryCodesNotFound() error {
	return fail(http.StatusNotFound, "recovery_codes_not_found", "The member has no recovery codes.")
}

type recoverReply struct {
	mfaReply
	Remaining int `json:"recovery_codes_remaining"`
}

func recoverMember(c *call) (answer, error) {
	var in struct {
		secondInput
		Code string `json:"recovery_code"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.checkSecond(true); err != nil {
		return nil, err
	}
	if in.Code == "" {
		return nil, badRequest("The recovery_code is missing.")
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
		return nil, errRecoveryCodesNotFound()
	}
	at := slices.Index(app.recovery, tidyRecoveryCode(in.Code))
	if at < 0 {
		return nil, c.wrong(ref, fail(http.StatusUnauthorized, "unable_to_authenticate_recovery_code", "The recovery code is wrong or was used."))
	}
	left := *app
	left.recovery = slices.Delete(slices.Clone(app.recovery), at, at+1)
	f := c.factor("recovery_codes", "recovery_code")
	f.RecoveryFactor = &recoveryFactor{RecoveryCodeID: "totp-recovery-code-test-" + p.ids.uuid("recovery code", app.id, app.recovery[at])}
	done, err := c.proveSecond(ref, h, key, f, func(m *member) { m.mfa.active = &left })
	if err != nil {
		return nil, err
	}
	return &recoverReply{mfaReply: *done, Remaining: len(left.recovery)}, nil
}

type recoveryCodesReply struct {
	memberReply
	RecoveryCodes []string `json:"recovery_codes"`
}

func getRecoveryCodes(c *call) (answer, error) {
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	ref, app, err := p.recoverable(c.params["organization_id"], c.params["member_id"])
	if err != nil {
		return nil, err
	}
	return &recoveryCodesReply{memberReply: *c.memberReply(ref, p.member(ref)), RecoveryCodes: app.recovery}, nil
}

func rotateRecoveryCodes(c *call) (answer, error) {
	var in struct {
		OrganizationID string `json:"organization_id"`
		MemberID       string `json:"member_id"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p := c.project
	p.mu.Lock()
	defer p.mu.Unlock()
	ref, app, err := p.recoverable(in.OrganizationID, in.MemberID)
	if err != nil {
		return nil, err
	}
	rotated := *app
	rotated.recovery = c.newRecoveryCodes()
	if !c.dry {
		p.update(ref, func(m *member) { m.mfa.active = &rotated })
	}
	return &recoveryCodesReply{memberReply: *c.memberReply(ref, p.member(ref)), RecoveryCodes: rotated.recovery}, nil
}

// recoverable finds a member that has recovery codes. It needs p.mu.
func (p *project) recoverable(organizationID, memberID string) (rowRef, *authenticator, error) {
	o, err := p.findOrganization(organizationID)
	if err != nil {
		return rowRef{}, nil, err
	}
	if !externalShape.MatchString(memberID) {
		return rowRef{}, nil, fail(http.StatusBadRequest, "invalid_id", "The member_id is missing or not well formed.")
	}
	ref, m, ok := p.memberIn(o, memberID)
	if !ok || m.json.Status == statusDeleted {
		return rowRef{}, nil, errMemberNotFound()
	}
	app := p.authenticator(m)
	if app == nil {
		return rowRef{}, nil, errRecoveryCodesNotFound()
	}
	return ref, app, nil
}
