package handlers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"rsc.io/qr"

	"orgconsole/internal/audit"
	"orgconsole/internal/stytch"
	"orgconsole/web/templates"
)

// Stytch's MFA methods.
const (
	methodSMS  = "sms_otp"
	methodTOTP = "totp"
)

// mfa returns what is proven so far, if a second factor is what is missing.
func (s *Server) mfa(p *progress) *proven {
	b := p.bound()
	if b == nil || b.MFA == nil {
		return nil
	}
	return b
}

// showMFA is GET /mfa: it asks for the second factor that is at hand.
func (s *Server) showMFA(c echo.Context) error {
	return s.renderMFA(c, http.StatusOK, s.readProgress(c), mfaChoice(c.QueryParam("with")), nil)
}

func mfaChoice(method string) string {
	switch method {
	case methodSMS, methodTOTP, string(wayRecovery):
		return method
	default:
		return ""
	}
}

func (s *Server) renderMFA(c echo.Context, status int, p *progress, with string, notice *templates.Notice) error {
	b := s.mfa(p)
	if b == nil {
		return s.renderLogin(c, http.StatusUnauthorized, loginForm{returnPath: p.Return}, tooLate())
	}
	if _, err := s.secondFactor(c, b); err != nil {
		return err
	}
	v := templates.SignInStep{
		Page: s.page(c, "Second factor"), Error: notice,
		Links: []templates.Link{{Text: "Start again", URL: withReturn("/login", p.Return)}},
	}
	v.Page.Lead = oneLine(b.Email, "·", b.OrganizationName)
	if b.Own {
		v.Links = []templates.Link{{Text: "Back to the account", URL: "/account"}}
	}
	m := b.MFA
	switch {
	case b.Enrolling != nil && b.Enrolling.Now != "" && with == "":
		s.enrollingView(&v, b)
	case !m.SMS && !m.TOTP:
		enrolView(&v, m, b.Own)
	default:
		mfaView(&v, m, with)
	}
	if v.Form != nil {
		v.Form.Hidden = append(v.Form.Hidden, proofField(b))
	}
	for i := range v.Others {
		v.Others[i].Hidden = append(v.Others[i].Hidden, proofField(b))
	}
	return render(c, status, templates.SignInStepPage(v))
}

func tooLate() *templates.Notice {
	return &templates.Notice{
		Kind: templates.Bad, Title: "This sign-in took too long, or was finished in another tab",
		Lines: []string{"Start again. A sign-in may take ten minutes after its first step."},
	}
}

// mfaView asks for a factor that is enrolled, and offers the others.
func mfaView(v *templates.SignInStep, m *mfaNeed, with string) {
	if with == "" {
		switch {
		case m.Sent, m.SMS && !m.TOTP, m.SMS && m.Default == methodSMS:
			with = methodSMS
		default:
			with = methodTOTP
		}
	}
	switch {
	case with == methodSMS && m.SMS && m.Sent:
		v.Text = []string{"A text message with a code is on its way to the phone that ends in " + m.Phone + ". It is good for two minutes."}
		v.Form = &templates.StepForm{Action: "/mfa/sms", Button: "Sign in", Fields: []templates.Input{codeInput("Code from the text message")}}
		v.Others = append(v.Others, templates.StepForm{Action: "/mfa/sms/send", Button: "Send another code", Hint: "The one before stops working."})
	case with == methodSMS && m.SMS:
		v.Text = []string{"You get a text message with a code, to the phone that ends in " + m.Phone + "."}
		v.Form = &templates.StepForm{Action: "/mfa/sms/send", Button: "Send me a code"}
	case with == string(wayRecovery) && m.TOTP:
		v.Text = []string{"Each of the recovery codes you kept when you enrolled works once."}
		input := codeInput("Recovery code")
		input.InputMode, input.Autocomplete = "", "off"
		v.Form = &templates.StepForm{Action: "/mfa/recovery", Button: "Sign in", Fields: []templates.Input{input}}
	default:
		v.Text = []string{"Open the authenticator app on your phone and type the code it shows."}
		v.Form = &templates.StepForm{Action: "/mfa/totp", Button: "Sign in", Fields: []templates.Input{codeInput("Code from the app")}}
	}
	for _, other := range []struct {
		method string
		have   bool
		text   string
	}{
		{methodTOTP, m.TOTP, "Use the authenticator app"},
		{methodSMS, m.SMS, "Use a text message"},
		{string(wayRecovery), m.TOTP, "Use a recovery code"},
	} {
		if other.have && other.method != with {
			v.Links = append([]templates.Link{{Text: other.text, URL: "/mfa?with=" + other.method}}, v.Links...)
		}
	}
}

// enrolView offers to enrol a factor, where one is wanted and there is none.
func enrolView(v *templates.SignInStep, m *mfaNeed, own bool) {
	v.Page.Title = "Set up a second factor"
	v.Text = []string{"Your organization wants a second factor besides your first one. You set it up once; from then on it is asked for at each sign-in."}
	if own {
		v.Text = []string{"A second factor protects your account when the first one is stolen. You set it up once; from then on it is asked for at each sign-in."}
	}
	if m.AddTOTP {
		v.Form = &templates.StepForm{
			Action: "/mfa/enroll/totp", Button: "Use an authenticator app",
			Hint: "An app on your phone that shows a new code every half minute. It works without a network.",
		}
	}
	if m.AddSMS {
		sms := templates.StepForm{Action: "/mfa/enroll/sms", Button: "Use text messages", Fields: []templates.Input{phoneInput("")}}
		if v.Form == nil {
			v.Form = &sms
		} else {
			v.Others = append(v.Others, sms)
		}
	}
	if v.Form == nil {
		v.Info = &templates.Notice{
			Kind: templates.Warn, Title: "Your organization wants a second factor and allows none",
			Lines: []string{"Ask an admin of your organization."},
		}
	}
}

func phoneInput(value string) templates.Input {
	return templates.Input{
		Name: "phone", Label: "Phone number", Type: "tel", InputMode: "tel", Value: value, Autocomplete: "tel", Required: true, MaxLength: 20,
		Hint: "With the country's code, such as +44 20 7946 0958.",
	}
}

// enrollingView asks for the first code of a factor that is being enrolled.
func (s *Server) enrollingView(v *templates.SignInStep, b *proven) {
	v.Page.Title = "Set up a second factor"
	e := b.Enrolling
	v.Others = append(v.Others, templates.StepForm{Action: "/mfa/enroll/other", Button: "Use another second factor"})
	if e.Now == waySMS {
		v.Text = []string{"A text message with a code is on its way to " + e.Phone + ". It is good for two minutes."}
		v.Form = &templates.StepForm{Action: "/mfa/sms", Button: "Confirm the phone", Fields: []templates.Input{codeInput("Code from the text message")}}
		return
	}
	v.Text = []string{"Scan this with the authenticator app on your phone, or type the key into it. Then type the code it shows."}
	if picture, err := qr.Encode(otpauthURL(b, e.Secret), qr.M); err == nil {
		picture.Scale = 5
		v.QR = &templates.QR{
			Image:  "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.PNG()),
			Secret: e.Secret, Alt: "QR code with the key that is written below it",
		}
	}
	v.Form = &templates.StepForm{Action: "/mfa/totp", Button: "Confirm the app", Fields: []templates.Input{codeInput("Code from the app")}}
}

// otpauthURL is what authenticator apps read: the Key Uri Format that Google
// Authenticator began and the others share.
func otpauthURL(b *proven, secret string) string {
	issuer := strings.ReplaceAll(firstOf(b.OrganizationName, b.Slug), ":", " ")
	label := url.PathEscape(issuer + ":" + b.Email)
	q := url.Values{"secret": {secret}, "issuer": {issuer}}
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// secondFactor is who proves one more factor, and with what: the intermediate
// session of a sign-in under way, or one's own session.
func (s *Server) secondFactor(c echo.Context, b *proven) (stytch.SecondFactor, error) {
	f := stytch.SecondFactor{OrganizationID: b.OrganizationID, MemberID: b.MemberID}
	if !b.Own {
		f.IntermediateSessionToken = stytch.Secret(b.Token)
		return f, nil
	}
	a, _, err := s.identify(c, true)
	if err != nil {
		return f, err
	}
	if a.Session.MemberID != b.MemberID || a.Session.OrganizationID != b.OrganizationID || a.Session.Impersonated() {
		return f, errSessionEnded
	}
	f.Own = a.Acting
	return f, nil
}

// since is when the sign-in began that this one goes on with; zero where it is its own.
func (b *proven) since() time.Time {
	if b.Since == 0 {
		return time.Time{}
	}
	return time.UnixMilli(b.Since)
}

// takes reports whether a way is a second factor that is there or being enrolled.
func (b *proven) takes(w way) bool {
	enrolling := b.Enrolling != nil && b.Enrolling.Now == w
	if w == waySMS {
		return b.MFA.SMS || enrolling
	}
	return b.MFA.TOTP || enrolling
}

// prove is a POST with a code.
func (s *Server) prove(c echo.Context, w way, code stytch.Secret, problem string,
	call func(context.Context, stytch.SecondFactor, stytch.Secret) (*stytch.AuthenticateResponse, error),
) error {
	p := s.readProgress(c)
	b := s.mfa(p)
	with := ""
	if b != nil && (b.Enrolling == nil || b.Enrolling.Now == "") {
		with = string(w)
	}
	again := func(status int, n *templates.Notice) error { return s.renderMFA(c, status, p, with, n) }
	if b == nil {
		// Perhaps the second click on what the first one used up.
		if _, _, err := s.identify(c, true); err == nil {
			return c.Redirect(http.StatusSeeOther, orHome(p.Return))
		}
		return again(http.StatusUnauthorized, nil)
	}
	if c.FormValue("proof") != b.ID {
		return s.renderMFA(c, http.StatusConflict, p, "", otherTab())
	}
	if !b.takes(w) {
		return s.renderMFA(c, http.StatusForbidden, p, "", &templates.Notice{Kind: templates.Bad, Title: "You are not signed in", Lines: []string{"This is not a second factor here."}})
	}
	if problem != "" {
		return again(http.StatusUnprocessableEntity, &templates.Notice{Kind: templates.Bad, Title: "You are not signed in", Lines: []string{problem}})
	}
	f, err := s.secondFactor(c, b)
	if err != nil {
		return err
	}
	t := try{
		way: w, key: b.Token + code.Reveal(), progress: p, returnPath: p.Return, switching: b.Switch, own: b.Own, since: b.since(),
		expect: expected{organizationID: b.OrganizationID, memberID: b.MemberID, email: b.Email},
		call: func(ctx context.Context, in stytch.SignIn) (*stytch.AuthenticateResponse, error) {
			if !b.Own { // one's own session is not made longer
				f.SessionDurationMinutes = in.SessionDurationMinutes
			}
			return call(ctx, f, code)
		},
	}
	if b.Enrolling != nil && b.Enrolling.Now == wayTOTP && w == wayTOTP {
		t.codes = b.Enrolling.Codes
	}
	st, err := s.attempt(c, t)
	if err != nil {
		return s.refusedStep(c, p, err, again)
	}
	return s.take(c, st)
}

// verifySMS is POST /mfa/sms.
func (s *Server) verifySMS(c echo.Context) error {
	code, problem := typedCode(c)
	enroll := s.enrolls(c)
	return s.prove(c, waySMS, code, problem, func(ctx context.Context, f stytch.SecondFactor, code stytch.Secret) (*stytch.AuthenticateResponse, error) {
		return s.stytch.AuthenticateSMSOTP(ctx, f, code, enroll)
	})
}

// verifyTOTP is POST /mfa/totp.
func (s *Server) verifyTOTP(c echo.Context) error {
	code, problem := typedCode(c)
	enroll := s.enrolls(c)
	return s.prove(c, wayTOTP, code, problem, func(ctx context.Context, f stytch.SecondFactor, code stytch.Secret) (*stytch.AuthenticateResponse, error) {
		return s.stytch.AuthenticateTOTP(ctx, f, code, enroll)
	})
}

func (s *Server) enrolls(c echo.Context) bool {
	b := s.mfa(s.readProgress(c))
	return b != nil && b.Enrolling != nil && b.Enrolling.Now != ""
}

// verifyRecovery is POST /mfa/recovery. A recovery code has hyphens that belong to it.
func (s *Server) verifyRecovery(c echo.Context) error {
	code, problem := stytch.Secret(strings.TrimSpace(c.FormValue("code"))), ""
	if code == "" || len(code) > 64 {
		problem = "Fill in a recovery code."
	}
	return s.prove(c, wayRecovery, code, problem, func(ctx context.Context, f stytch.SecondFactor, code stytch.Secret) (*stytch.AuthenticateResponse, error) {
		answer, err := s.stytch.Recover(ctx, f, code)
		if err != nil {
			return nil, err
		}
		return &answer.AuthenticateResponse, nil
	})
}

// sendSMS is POST /mfa/sms/send: a code to the phone that is enrolled.
func (s *Server) sendSMS(c echo.Context) error { return s.textCode(c, "") }

var (
	notDigits = regexp.MustCompile(`[^0-9]`)
	e164      = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

// enrolSMS is POST /mfa/enroll/sms: a code to a phone that is to be enrolled.
func (s *Server) enrolSMS(c echo.Context) error {
	typed := strings.TrimSpace(c.FormValue("phone"))
	phone := "+" + notDigits.ReplaceAllString(typed, "")
	if !strings.HasPrefix(typed, "+") || !e164.MatchString(phone) {
		return s.renderMFA(c, http.StatusUnprocessableEntity, s.readProgress(c), "", &templates.Notice{
			Kind: templates.Bad, Title: "Nothing was sent", Lines: []string{"The phone number begins with + and the country's code, such as +44 20 7946 0958."},
		})
	}
	return s.textCode(c, phone)
}

func (s *Server) textCode(c echo.Context, phone string) error {
	p := s.readProgress(c)
	b := s.mfa(p)
	again := func(status int, n *templates.Notice) error { return s.renderMFA(c, status, p, "", n) }
	if b != nil && c.FormValue("proof") != b.ID {
		return again(http.StatusConflict, otherTab())
	}
	if b == nil || phone == "" && !b.MFA.SMS || phone != "" && !b.MFA.AddSMS {
		return again(http.StatusForbidden, &templates.Notice{Kind: templates.Bad, Title: "Nothing was sent", Lines: []string{"A text message is not a second factor here."}})
	}
	tried, wait := s.throttle.beginMail(c.RealIP(), b.OrganizationID, b.MemberID)
	if tried == nil {
		no := s.slowedDown(c, wait)
		retryHeader(c, no)
		return again(no.failure.status, no.notice())
	}
	f, err := s.secondFactor(c, b)
	if err != nil {
		return err
	}
	answer, err := s.stytch.SendSMSOTP(c.Request().Context(), f, phone)
	if err != nil {
		return s.refuseEnrolment(c, p, b, waySMS, err, again)
	}
	s.recordFactor(c, b, "sms_sent", answer.StatusCode, answer.RequestID)
	if phone != "" {
		if b.Enrolling == nil {
			b.Enrolling = &enrolling{}
		}
		b.Enrolling.Now, b.Enrolling.Phone = waySMS, phone
	} else {
		b.MFA.Sent = true
	}
	return s.take(c, step{progress: p, to: "/mfa"})
}

// enrolTOTP is POST /mfa/enroll/totp: it makes the secret that the app is to have.
func (s *Server) enrolTOTP(c echo.Context) error {
	p := s.readProgress(c)
	b := s.mfa(p)
	again := func(status int, n *templates.Notice) error { return s.renderMFA(c, status, p, "", n) }
	if b != nil && c.FormValue("proof") != b.ID {
		return again(http.StatusConflict, otherTab())
	}
	if b == nil || !b.MFA.AddTOTP {
		return again(http.StatusForbidden, &templates.Notice{Kind: templates.Bad, Title: "Nothing was set up", Lines: []string{"An authenticator app is not a second factor here."}})
	}
	if b.Enrolling != nil && b.Enrolling.Secret != "" {
		b.Enrolling.Now = wayTOTP // a second click, or a second thought, must not make another secret
		return s.take(c, step{progress: p, to: "/mfa"})
	}
	tried, wait := s.throttle.begin(c.RealIP(), b.OrganizationID, b.MemberID)
	if tried == nil {
		no := s.slowedDown(c, wait)
		retryHeader(c, no)
		return again(no.failure.status, no.notice())
	}
	tried.succeeded()
	f, err := s.secondFactor(c, b)
	if err != nil {
		return err
	}
	st, err := s.once.do(p.ID, "enrol", b.Token, func() (step, error) {
		answer, err := s.stytch.CreateTOTP(context.WithoutCancel(c.Request().Context()), f)
		if err != nil {
			return step{}, err
		}
		s.recordFactor(c, b, "totp_created", answer.StatusCode, answer.RequestID)
		made := &enrolling{Now: wayTOTP, Secret: answer.Secret.Reveal()}
		for _, code := range answer.RecoveryCodes {
			made.Codes = append(made.Codes, code.Reveal())
		}
		next, proof := *p, *b
		proof.Enrolling, next.Proven = made, &proof
		return step{progress: &next, to: "/mfa"}, nil
	})
	if err != nil {
		return s.refuseEnrolment(c, p, b, wayTOTP, err, again)
	}
	return s.take(c, st)
}

// enrolOther is POST /mfa/enroll/other: back to the choice.
func (s *Server) enrolOther(c echo.Context) error {
	p := s.readProgress(c)
	if b := s.mfa(p); b != nil && b.Enrolling != nil {
		b.Enrolling.Now = "" // what was made is kept: the upstream makes no second one beside it
	}
	return s.take(c, step{progress: p, to: "/mfa"})
}

func (s *Server) refuseEnrolment(c echo.Context, p *progress, b *proven, w way, err error, again func(int, *templates.Notice) error) error {
	t := &try{way: w, expect: expected{organizationID: b.OrganizationID, memberID: b.MemberID, email: b.Email}}
	no, organizationID := s.refused(c.Request().Context(), t, err)
	if refused, ok := errors.AsType[*stytch.Error](err); ok {
		switch refused.Type { //nolint:exhaustive // all others are worded already
		case stytch.ErrorTypeActiveTOTPExists:
			no.failure.status, no.failure.text, no.failure.next = http.StatusConflict, "An authenticator app is set up already.", []string{"Start again and use its code."}
		case stytch.ErrorTypePendingTOTPExists:
			no.failure.status, no.failure.text = http.StatusConflict, "An authenticator app was begun to be set up less than an hour ago."
			no.failure.next = []string{"Finish it in the tab where it was begun. If that is gone, use text messages, or try again in an hour."}
		}
	}
	s.recordRefusal(c.Request().Context(), c, t, organizationID, no)
	return s.refusedStep(c, p, no, again)
}

// recordFactor records a step of a second factor that proves nothing yet.
func (s *Server) recordFactor(c echo.Context, b *proven, detail string, status int, upstreamRequestID string) {
	a := newAttempt(c, "", b.Email)
	a.Action, a.Outcome, a.Detail = audit.ActionSecondFactor, audit.OutcomeSucceeded, detail
	a.OrganizationID, a.MemberID, a.Email = b.OrganizationID, b.MemberID, b.Email
	a.HTTP, a.UpstreamRequestID = audit.HTTP{Status: status}, upstreamRequestID
	s.recordStep(c.Request().Context(), a)
}

// showRecoveryCodes is GET /mfa/recovery-codes: shown after enrolment, until
// they are said to be kept, and never again.
func (s *Server) showRecoveryCodes(c echo.Context) error {
	p := s.readProgress(c)
	if len(p.Codes) == 0 || p.Holder != s.actor(c).Session.MemberID {
		return c.Redirect(http.StatusSeeOther, orHome(p.Return))
	}
	return render(c, http.StatusOK, templates.SignInStepPage(templates.SignInStep{
		Page:  s.page(c, "Recovery codes"),
		Text:  []string{fmt.Sprintf("Your second factor is set up. If you lose the phone, each of these %d codes lets you in once. They are shown only now: print them or put them into a password manager.", len(p.Codes))},
		Codes: p.Codes,
		Form:  &templates.StepForm{Action: "/mfa/recovery-codes", Button: "I have kept them"},
	}))
}

// keptRecoveryCodes is POST /mfa/recovery-codes.
func (s *Server) keptRecoveryCodes(c echo.Context) error {
	return s.take(c, step{to: orHome(s.readProgress(c).Return)})
}

// showMore is GET /login/more: the organization wants another first factor.
func (s *Server) showMore(c echo.Context) error {
	p := s.readProgress(c)
	b := p.bound()
	if b == nil || b.MFA != nil {
		return c.Redirect(http.StatusSeeOther, withReturn("/login", p.Return))
	}
	v := templates.Login{
		Page: s.page(c, "One more step"), Organization: b.Slug, Email: b.Email, Return: p.Return, Chosen: true, OtherURL: withReturn("/login", p.Return),
	}
	v.Page.Lead = b.OrganizationName + " wants another way of signing in, besides or instead of the one you used."
	has := func(method string) bool { return slices.Contains(b.Ways, method) }
	s.offerMethods(&v, s.lookUp(c.Request().Context(), c, b.Slug), b.Slug, p.Return, has)
	if !v.Password && !v.Link && !v.Code && len(v.Ways) == 0 {
		v.NoWay = b.OrganizationName + " allows no way of signing in that the console can offer you."
	}
	return render(c, http.StatusOK, templates.LoginPage(v))
}
