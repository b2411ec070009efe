package sandbox

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"time"
)

// smsLifetime is how long a code sent to a phone is good.
const smsLifetime = 2 * time.Minute

// sentCode is the newest code that went to somebody. An older one is not good any more.
type sentCode struct {
	digits  string
	phone   string // SMS
	expires time.Time
	wrong   int // guesses that were not it
}

func (s *Sandbox) newDigits() string {
	var b [8]byte
	s.random(b[:])
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(b[:])%1_000_000)
}

func errCodeNotFound() error {
	return fail(http.StatusNotFound, "otp_code_not_found", "No passcode is waiting; ask for a new one.")
}

func errCodeWrong() error {
	return fail(http.StatusUnauthorized, "unable_to_auth_otp_code", "The passcode is wrong or has expired.")
}

// memberCode checks a code that was sent to a member and uses it up. A wrong guess counts towards the lock. It needs
// project.mu for writing.
func (c *call) memberCode(codes map[rowRef]*sentCode, ref rowRef, digits string) (*sentCode, error) {
	sent, ok := codes[ref]
	switch {
	case digits == "":
		return nil, badRequest("The code is missing.")
	case !ok:
		return nil, errCodeNotFound()
	case sent.digits != digits:
		return nil, c.wrong(ref, errCodeWrong())
	case !c.now().Before(sent.expires):
		return nil, errCodeWrong()
	}
	if !c.dry {
		delete(codes, ref)
	}
	return sent, nil
}

// smsCode checks a member's SMS code, uses it up and says which number it went to. It needs project.mu for writing.
func (c *call) smsCode(ref rowRef, digits string) (phone string, err error) {
	sent, err := c.memberCode(c.project.smsCodes, ref, digits)
	if err != nil {
		return "", err
	}
	return sent.phone, nil
}

// sendSMS sends a member a code; the one before is dead. It needs project.mu for writing.
func (c *call) sendSMS(ref rowRef, phone string) {
	if c.dry {
		return
	}
	sent := &sentCode{digits: c.newDigits(), phone: phone, expires: c.nowUTC().Add(smsLifetime)}
	c.project.smsCodes[ref] = sent
	c.send(mail{Kind: mailSMSCode, To: phone, ref: &ref, ExpiresAt: sent.expires, Code: sent.digits})
}
