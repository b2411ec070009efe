package sandbox

import (
	"net/http"
	"slices"
)

// organizationChange is what POST /_sandbox/organizations/{organization_id} may say.
type organizationChange struct {
	AuthMethods *[]string `json:"auth_methods"` // those that are allowed; [] allows all
	MFAMethods  *[]string `json:"mfa_methods"`  // the same
	MFAPolicy   *string   `json:"mfa_policy"`

	TrustedMetadata *map[string]any `json:"trusted_metadata"` // whole
}

func (in organizationChange) check() error {
	for _, list := range []struct {
		name            string
		given           *[]string
		accepted        []string
		acceptedInWords string
	}{
		{"auth_methods", in.AuthMethods, everyMethod(), "the names of allowed_auth_methods"},
		{"mfa_methods", in.MFAMethods, []string{mfaSMS, mfaTOTP}, "sms_otp and totp"},
	} {
		if list.given == nil {
			continue
		}
		for _, method := range *list.given {
			if !slices.Contains(list.accepted, method) {
				return refuse("%s %q: accepted are %s", list.name, method, list.acceptedInWords)
			}
		}
	}
	if in.MFAPolicy != nil && *in.MFAPolicy != "OPTIONAL" && *in.MFAPolicy != "REQUIRED_FOR_ALL" {
		return refuse("mfa_policy %q: accepted are OPTIONAL, REQUIRED_FOR_ALL", *in.MFAPolicy)
	}
	return nil
}

func (s *Sandbox) controlChangeOrganization(params map[string]string, r *http.Request) (any, error) {
	var in organizationChange
	if err := controlBody(r, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	restrict := func(setting *string, allowed *[]string, to *[]string) {
		if to != nil {
			*setting, *allowed = "RESTRICTED", slices.Clone(*to)
			if len(*to) == 0 {
				*setting = "ALL_ALLOWED"
			}
		}
	}
	s.project.mu.Lock()
	defer s.project.mu.Unlock()
	o := s.project.organization(params["organization_id"])
	if o == nil {
		return nil, absentError("organization")
	}
	j := *o.json
	restrict(&j.AuthMethods, &j.AllowedAuthMethods, in.AuthMethods)
	restrict(&j.MFAMethods, &j.AllowedMFAMethods, in.MFAMethods)
	if in.MFAPolicy != nil {
		j.MFAPolicy = *in.MFAPolicy
	}
	if in.TrustedMetadata != nil {
		j.TrustedMetadata = *in.TrustedMetadata
	}
	j.UpdatedAt = s.nowUTC()
	o.json = &j
	return map[string]any{"organization": j}, nil
}
