package stytch

import "context"

// RecoverResponse is what Recover returns.
type RecoverResponse struct {
	AuthenticateResponse

	RecoveryCodesRemaining int // -1 where the API did not say
}

// UnmarshalJSON reads what it can.
func (r *RecoverResponse) UnmarshalJSON(data []byte) error {
	*r = RecoverResponse{RecoveryCodesRemaining: -1}
	if err := r.AuthenticateResponse.UnmarshalJSON(data); err != nil {
		return err
	}
	var wire struct {
		Remaining lenientInt `json:"recovery_codes_remaining"`
	}
	err := decodeLenient(data, &wire)
	if wire.Remaining.ok {
		r.RecoveryCodesRemaining = wire.Remaining.n
	}
	return err
}

func (r *RecoverResponse) problem() string {
	r.MemberAuthenticated = true
	return r.AuthenticateResponse.problem()
}

// Recover ends a sign-in by a recovery code instead of a second factor: POST /v1/b2b/recovery_codes/recover. A code works
// once.
func (c *Client) Recover(ctx context.Context, f SecondFactor, recoveryCode Secret) (*RecoverResponse, error) {
	return call[RecoverResponse](ctx, c, request{
		endpoint: "POST /v1/b2b/recovery_codes/recover",
		body: struct {
			secondFactor
			Code string `json:"recovery_code"`
		}{f.wire(), recoveryCode.Reveal()},
		secrets: f.secrets(recoveryCode),
	}, f.check(), checkSecret("recovery_code", recoveryCode))
}
