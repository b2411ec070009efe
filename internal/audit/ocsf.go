package audit

import (
	"cmp"
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// ocsfVersion is the version of the schema, https://schema.ocsf.io/1.8.0.
const ocsfVersion = "1.8.0"

const (
	ocsfProductName = "Org Console"
	ocsfUnknown     = "(unknown)"
	ocsfErased      = "(erased)"
)

// ocsfClass is a class of the schema. Its category is the thousands of its uid.
type ocsfClass struct {
	uid   int
	name  string
	about func(o *ocsfEvent, e *Entry) // puts in what the schema requires of the class alone
}

// ocsfActivity is an activity of a class.
type ocsfActivity struct {
	class ocsfClass
	id    int
	name  string
}

// ocsfOther is the activity that the schema has no number for, and the status it has none for.
const ocsfOther = 99

var (
	classAccountChange  = ocsfClass{3001, "Account Change", (*ocsfEvent).aboutAccount}
	classAuthentication = ocsfClass{3002, "Authentication", (*ocsfEvent).aboutSession}
	classEntity         = ocsfClass{3004, "Entity Management", (*ocsfEvent).aboutEntity}
	classWebResources   = ocsfClass{6001, "Web Resources Activity", (*ocsfEvent).aboutResource}
	classLifecycle      = ocsfClass{6002, "Application Lifecycle", (*ocsfEvent).aboutApp}
)

// ocsfActivities is the one table of what becomes what.
var ocsfActivities = map[Action]ocsfActivity{
	ActionDeletePassword:  {classAccountChange, 4, "Password Reset"},
	ActionRequireReset:    {classAccountChange, 4, "Password Reset"},
	ActionResetEmail:      {classAccountChange, ocsfOther, "Send Reset Email"},
	ActionSetPassword:     {classAccountChange, 3, "Password Change"},
	ActionRevokeSessions:  {classAuthentication, 2, "Logoff"},
	ActionSignIn:          {classAuthentication, 1, "Logon"},
	ActionSignInThrottled: {classAuthentication, 1, "Logon"},
	ActionSignInMail:      {classAuthentication, 6, "Preauth"},
	ActionFirstFactor:     {classAuthentication, 6, "Preauth"},
	ActionSecondFactor:    {classAuthentication, 1, "Logon"},
	ActionSwitch:          {classAuthentication, 7, "Account Switch"},
	ActionSignOut:         {classAuthentication, 2, "Logoff"},
	ActionExport:          {classWebResources, 7, "Export"},
	ActionReview:          {classEntity, ocsfOther, "Review"},
	ActionVerify:          {classEntity, ocsfOther, "Verify"},
	ActionTreeCreate:      {classEntity, 1, "Create"},
	ActionKeyChange:       {classEntity, 3, "Update"},
	ActionPurge:           {classEntity, ocsfOther, "Purge"},
	ActionErase:           {classEntity, ocsfOther, "Erase"},
	ActionStart:           {classLifecycle, 3, "Start"},
}

// activity is the table's word, or that of an account change of another kind.
func (a Action) ocsf() ocsfActivity {
	if activity, ok := ocsfActivities[a]; ok {
		return activity
	}
	return ocsfActivity{classAccountChange, ocsfOther, a.Label()}
}

// ocsfStatus is what the schema calls an outcome. What has none, such as an intent, must not count as a success.
func ocsfStatus(ev *Event) (id int, name string) {
	switch ev.Outcome {
	case OutcomeSucceeded:
		return 1, "Success"
	case OutcomeFailed, OutcomeDenied, OutcomeNotFound:
		return 2, "Failure"
	case OutcomeUnknown:
		return 0, "Unknown"
	case OutcomeCancelled:
		return ocsfOther, string(ev.Outcome)
	default:
		return ocsfOther, string(ev.Phase)
	}
}

func ocsfSeverity(o Outcome) (id int, name string) {
	switch o {
	case OutcomeDenied, OutcomeUnknown:
		return 3, "Medium"
	case OutcomeFailed:
		return 2, "Low"
	default:
		return 1, "Informational"
	}
}

func ocsfCategory(class int) (uid int, name string) {
	uid = class / 1000
	if uid == 3 {
		return uid, "Identity & Access Management"
	}
	return uid, "Application Activity"
}

// ocsfEvent has the attributes of the schema that are used here.
type ocsfEvent struct {
	ActivityID          int               `json:"activity_id"`
	ActivityName        string            `json:"activity_name"`
	CategoryUID         int               `json:"category_uid"`
	CategoryName        string            `json:"category_name"`
	ClassUID            int               `json:"class_uid"`
	ClassName           string            `json:"class_name"`
	TypeUID             int               `json:"type_uid"`
	TypeName            string            `json:"type_name"`
	Time                int64             `json:"time"` // ms
	SeverityID          int               `json:"severity_id"`
	Severity            string            `json:"severity"`
	StatusID            int               `json:"status_id"`
	Status              string            `json:"status"`
	StatusCode          string            `json:"status_code,omitempty"`
	StatusDetail        string            `json:"status_detail,omitempty"`
	Count               int               `json:"count,omitempty"`
	Message             string            `json:"message"`
	Metadata            ocsfMetadata      `json:"metadata"`
	Actor               *ocsfActor        `json:"actor,omitempty"`
	User                *ocsfUser         `json:"user,omitempty"`
	Session             *ocsfSession      `json:"session,omitempty"`
	Service             *ocsfNamed        `json:"service,omitempty"`
	AuthFactors         []ocsfFactor      `json:"auth_factors,omitempty"`
	AccountSwitchType   string            `json:"account_switch_type,omitempty"`
	AccountSwitchTypeID int               `json:"account_switch_type_id,omitempty"`
	Entity              *ocsfNamed        `json:"entity,omitempty"`
	WebResources        []ocsfNamed       `json:"web_resources,omitempty"`
	App                 *ocsfProduct      `json:"app,omitempty"`
	SrcEndpoint         *ocsfEndpoint     `json:"src_endpoint,omitempty"`
	HTTPRequest         *ocsfHTTPRequest  `json:"http_request,omitempty"`
	HTTPResponse        *ocsfHTTPResponse `json:"http_response,omitempty"` // Stytch's, on which the outcome rests
	Unmapped            ocsfUnmapped      `json:"unmapped"`
}

type ocsfMetadata struct {
	Version        string      `json:"version"`
	Product        ocsfProduct `json:"product"`
	UID            string      `json:"uid"`
	CorrelationUID string      `json:"correlation_uid,omitempty"`
	Sequence       int64       `json:"sequence"`
	EventCode      string      `json:"event_code"`
	LogName        string      `json:"log_name"`
	LogVersion     string      `json:"log_version"`
	OriginalTime   string      `json:"original_time"`
	TenantUID      string      `json:"tenant_uid,omitempty"`
}

type (
	ocsfProduct struct {
		Name       string `json:"name"`
		VendorName string `json:"vendor_name"`
		Version    string `json:"version,omitempty"`
	}
	ocsfActor struct {
		User    *ocsfUser    `json:"user,omitempty"`
		Session *ocsfSession `json:"session,omitempty"`
		AppName string       `json:"app_name,omitempty"`
	}
	ocsfUser struct {
		UID       string `json:"uid,omitempty"`
		Name      string `json:"name,omitempty"`
		FullName  string `json:"full_name,omitempty"`
		EmailAddr string `json:"email_addr,omitempty"`
		TypeID    int    `json:"type_id"`
	}
	ocsfSession struct {
		UID string `json:"uid"`
	}
	ocsfNamed struct {
		Name string `json:"name"`
		Type string `json:"type,omitempty"`
		UID  string `json:"uid,omitempty"`
		Desc string `json:"desc,omitempty"`
	}
	ocsfFactor struct {
		FactorTypeID int    `json:"factor_type_id"`
		FactorType   string `json:"factor_type"`
	}
	ocsfEndpoint struct {
		IP string `json:"ip"`
	}
	ocsfHTTPRequest struct {
		UID       string `json:"uid,omitempty"`
		UserAgent string `json:"user_agent,omitempty"`
	}
	ocsfHTTPResponse struct {
		Code int `json:"code"`
	}
	// ocsfUnmapped is what the schema has no place for.
	ocsfUnmapped struct {
		Phase             string   `json:"phase"`
		Reason            string   `json:"reason,omitempty"`
		Ticket            string   `json:"ticket,omitempty"`
		PasswordID        string   `json:"password_id,omitempty"`
		TargetType        string   `json:"target_type,omitempty"`
		TargetID          string   `json:"target_id,omitempty"`
		TargetLabel       string   `json:"target_label,omitempty"`
		AuthFactors       []string `json:"auth_factors,omitempty"`
		Attempt           int      `json:"attempt,omitempty"`
		UpstreamErrorType string   `json:"upstream_error_type,omitempty"`
		UpstreamRequestID string   `json:"upstream_request_id,omitempty"`
		Erased            []string `json:"erased,omitempty"` // texts that are gone for good
		LeafHash          string   `json:"leaf_hash"`        // finds the event in an NDJSON export, and its proof
	}
)

// ocsfEncoder writes one event of the schema on each line. Of a record that was
// purged nothing is left to say; the purge is an event itself.
type ocsfEncoder struct {
	w      io.Writer
	origin string
}

func (*ocsfEncoder) proofs() bool { return false }

func (c *ocsfEncoder) Begin(h Head) error {
	c.origin = h.Origin
	return nil
}

func (c *ocsfEncoder) End(int64) error { return nil }

func (c *ocsfEncoder) Event(e *Entry) error {
	if e.Event.Purged != nil {
		return nil
	}
	enc := json.NewEncoder(c.w) // one Write, with the end of the line
	enc.SetEscapeHTML(false)
	return enc.Encode(newOCSF(e, c.origin))
}

func newOCSF(e *Entry, origin string) *ocsfEvent {
	ev := &e.Event
	activity := ev.Action.ocsf()
	o := &ocsfEvent{
		ActivityID: activity.id, ActivityName: activity.name, ClassUID: activity.class.uid, ClassName: activity.class.name,
		TypeUID: activity.class.uid*100 + activity.id, TypeName: activity.class.name + ": " + activity.name,
		Time: ev.Time.UnixMilli(), StatusCode: string(ev.Outcome), StatusDetail: ev.Detail, Count: ev.Count,
		Message: ev.Action.Label() + ": " + string(ev.Phase),
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: ocsfProduct{Name: ocsfProductName, VendorName: ocsfProductName, Version: ev.Build},
			UID: ev.ID, CorrelationUID: ev.OperationID, Sequence: ev.Seq, EventCode: string(ev.Action), LogName: origin,
			LogVersion: strconv.Itoa(ev.Schema), OriginalTime: ev.Time.UTC().Format(timeLayout), TenantUID: ev.OrganizationID,
		},
		Unmapped: ocsfUnmapped{
			Phase: string(ev.Phase), Reason: ev.Reason, Ticket: ev.Ticket, PasswordID: ev.Target.PasswordID, Attempt: ev.Attempt,
			AuthFactors: ev.Actor.AuthFactors, UpstreamErrorType: ev.HTTP.ErrorType, UpstreamRequestID: ev.UpstreamRequestID,
			LeafHash: e.Leaf.String(),
		},
	}
	if ev.Outcome != "" {
		o.Message = ev.Action.Label() + ": " + string(ev.Outcome)
	}
	o.CategoryUID, o.CategoryName = ocsfCategory(o.ClassUID)
	o.SeverityID, o.Severity = ocsfSeverity(ev.Outcome)
	o.StatusID, o.Status = ocsfStatus(ev)
	for _, s := range e.Subjects {
		if s.Erased {
			o.Unmapped.Erased = append(o.Unmapped.Erased, s.Field)
		}
	}
	switch {
	case ev.Actor.System:
		o.Actor = &ocsfActor{AppName: ocsfProductName}
	case ev.Actor.MemberID != "" || ev.Actor.Email != "":
		o.Actor = &ocsfActor{User: e.ocsfActor()}
		if ev.Actor.SessionID != "" {
			o.Actor.Session = &ocsfSession{ev.Actor.SessionID}
		}
	}
	if ev.Source.IP != "" {
		o.SrcEndpoint = &ocsfEndpoint{ev.Source.IP}
	}
	if ev.Source.UserAgent != "" || ev.RequestID != "" {
		o.HTTPRequest = &ocsfHTTPRequest{UID: ev.RequestID, UserAgent: ev.Source.UserAgent}
	}
	if ev.HTTP.Status != 0 {
		o.HTTPResponse = &ocsfHTTPResponse{ev.HTTP.Status}
	}
	activity.class.about(o, e)
	return o
}

// ocsfActor is who acted as a user, and ocsfTarget whom it was done to.
func (e *Entry) ocsfActor() *ocsfUser {
	return newOCSFUser(e.Event.Actor.MemberID, e.Event.Actor.Email, "", e.erased(subjectActorEmail))
}

func (e *Entry) ocsfTarget() *ocsfUser {
	t := &e.Event.Target
	return newOCSFUser(t.ID, t.Email, t.Label, e.erased(subjectTargetEmail))
}

// newOCSFUser has an id or a name always: the schema requires one of them.
func newOCSFUser(id, email, name string, erased bool) *ocsfUser {
	u := &ocsfUser{UID: id, Name: email, FullName: name, EmailAddr: email, TypeID: 1}
	switch {
	case email != "":
	case erased:
		u.Name = ocsfErased
	case id == "":
		u.Name, u.TypeID = ocsfUnknown, 0
	}
	return u
}

// aboutAccount names the account: somebody else's, or the actor's own.
func (o *ocsfEvent) aboutAccount(e *Entry) {
	if e.Event.Target.Type == "member" {
		o.User = e.ocsfTarget()
		return
	}
	o.User = e.ocsfActor()
	o.rest(e)
}

func (o *ocsfEvent) aboutSession(e *Entry) {
	ev := &e.Event
	o.aboutAccount(e)
	o.Service = &ocsfNamed{Name: ocsfProductName}
	if ev.Target.Type == "member" {
		return // whose sessions were ended by somebody else
	}
	if ev.Actor.SessionID != "" {
		o.Session = &ocsfSession{ev.Actor.SessionID}
	}
	for _, f := range ev.Actor.AuthFactors {
		if !strings.Contains(f, ":") { // such as who impersonates, which is no factor
			o.AuthFactors = append(o.AuthFactors, ocsfFactor{ocsfFactorType(f), f})
		}
	}
	if ev.Action == ActionSwitch {
		o.AccountSwitchType, o.AccountSwitchTypeID = "Organization", ocsfOther
	}
}

func ocsfFactorType(factor string) int {
	switch factor {
	case "otp", "sms_otp":
		return 1
	case "totp":
		return 7
	case "magic_link", "email_otp":
		return 8
	case "password":
		return 11
	default:
		return ocsfOther
	}
}

func (o *ocsfEvent) aboutEntity(e *Entry) {
	t := &e.Event.Target
	o.Entity = &ocsfNamed{Name: cmp.Or(t.Label, t.ID, e.Event.Action.Label()), Type: t.Type, UID: t.ID}
}

func (o *ocsfEvent) aboutResource(e *Entry) {
	ev := &e.Event
	o.WebResources = []ocsfNamed{{Name: "Audit log", Type: ev.Target.Type, UID: ev.Target.ID, Desc: ev.Reason}}
	o.rest(e)
}

func (o *ocsfEvent) aboutApp(e *Entry) {
	o.App = &ocsfProduct{Name: ocsfProductName, VendorName: ocsfProductName, Version: e.Event.Build}
}

// rest keeps a target that the class has no place for.
func (o *ocsfEvent) rest(e *Entry) {
	t := &e.Event.Target
	o.Unmapped.TargetType, o.Unmapped.TargetID, o.Unmapped.TargetLabel = t.Type, t.ID, t.Label
}
