package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
)

// compileFilter turns one operand into a predicate. deleted reports a statuses filter that lists deleted.
func (p *project) compileFilter(raw json.RawMessage) (matches predicate, deleted bool, err error) {
	var operand struct {
		Name  json.RawMessage `json:"filter_name"`
		Value json.RawMessage `json:"filter_value"`
	}
	if err := json.Unmarshal(raw, &operand); err != nil {
		return nil, false, badRequest("An operand is an object with filter_name and filter_value.")
	}
	if absent(operand.Name) {
		return nil, false, searchError("member_search_missing_filter_name", "An operand has no filter_name.")
	}
	var name string
	if json.Unmarshal(operand.Name, &name) != nil {
		return nil, false, searchError("member_search_filter_name_must_be_string", "A filter_name is a string.")
	}
	if absent(operand.Value) {
		return nil, false, missingValue(name)
	}
	switch name {
	case "member_is_breakglass", "member_password_exists", "member_totp_exists":
		matches, err = boolFilter(name, operand.Value)
	case "member_email_fuzzy", "member_mfa_phone_number_fuzzy", "organization_slug", "organization_slug_fuzzy":
		matches, err = stringFilter(name, operand.Value)
	case "member_ids", "member_emails", "statuses", "member_mfa_phone_numbers", "member_roles", "oauth_providers":
		var values []string
		if values, err = stringArray(operand.Value); err == nil {
			matches, err = p.arrayFilter(name, values)
			deleted = name == "statuses" && slices.Contains(values, statusDeleted)
		}
	default:
		err = searchError("member_search_filter_name_not_recognized", "There is no such filter.")
	}
	return matches, deleted, err
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func missingValue(name string) error {
	errorType := "member_search_missing_filter_value"
	switch name {
	case "member_totp_exists":
		errorType = "member_search_missing_totp_exists"
	case "oauth_providers":
		errorType = "member_search_missing_oauth_providers"
	}
	return searchError(errorType, "The filter has no filter_value.")
}

func boolFilter(name string, raw json.RawMessage) (predicate, error) {
	var want bool
	if json.Unmarshal(raw, &want) != nil {
		return nil, searchError("member_search_expected_boolean", "The filter_value of "+name+" is a boolean.")
	}
	switch name {
	case "member_is_breakglass":
		return func(c candidate) bool { return c.row.breakglass == want }, nil
	case "member_password_exists":
		return func(c candidate) bool { return c.row.hasPass == want }, nil
	default:
		return func(c candidate) bool { return c.traits().totp == want }, nil
	}
}

func stringFilter(name string, raw json.RawMessage) (predicate, error) {
	var value string
	if json.Unmarshal(raw, &value) != nil {
		return nil, searchError("member_search_expected_string", "The filter_value of "+name+" is a string.")
	}
	if name == "organization_slug" {
		return func(c candidate) bool { return c.o.json.OrganizationSlug == value }, nil
	}
	part, err := fuzzy(value, "member_search_"+name+"_too_short")
	if err != nil {
		return nil, err
	}
	switch name {
	case "member_email_fuzzy":
		return func(c candidate) bool { return strings.Contains(c.row.email, part) }, nil
	case "member_mfa_phone_number_fuzzy":
		return func(c candidate) bool { return strings.Contains(c.traits().phone, part) }, nil
	default:
		return func(c candidate) bool { return strings.Contains(strings.ToLower(c.o.json.OrganizationSlug), part) }, nil
	}
}

func stringArray(raw json.RawMessage) ([]string, error) {
	var values []*string
	bad := json.Unmarshal(raw, &values) != nil
	out := make([]string, 0, len(values))
	for _, v := range values {
		if v == nil {
			bad = true
			break
		}
		out = append(out, *v)
	}
	if bad {
		return nil, searchError("member_search_expected_array_of_strings", "The filter_value is an array of strings.")
	}
	return out, nil
}

func (p *project) arrayFilter(name string, values []string) (predicate, error) {
	switch name {
	case "member_ids":
		return p.idFilter(values)
	case "statuses":
		for _, v := range values {
			if !slices.Contains([]string{statusActive, statusPending, statusInvited, statusDeleted}, v) {
				return nil, searchError("search_invalid_status_filter", "A status is active, pending, invited or deleted.")
			}
		}
		return func(c candidate) bool { return slices.Contains(values, c.row.status) }, nil
	case "member_emails":
		set := map[string]bool{}
		for _, v := range values {
			set[strings.ToLower(strings.TrimSpace(v))] = true
		}
		return func(c candidate) bool { return set[c.row.email] }, nil
	case "member_mfa_phone_numbers":
		return func(c candidate) bool {
			phone := c.traits().phone
			return phone != "" && slices.Contains(values, phone)
		}, nil
	case "member_roles":
		return func(c candidate) bool {
			return slices.ContainsFunc(c.traits().roles, func(role string) bool { return slices.Contains(values, role) })
		}, nil
	default: // oauth_providers
		for i, v := range values {
			values[i] = strings.TrimSuffix(strings.ToLower(v), "_oauth")
		}
		return func(c candidate) bool {
			return slices.ContainsFunc(c.traits().providers, func(provider string) bool { return slices.Contains(values, provider) })
		}, nil
	}
}

// idFilter resolves ids first: comparing every member's id would mean deriving all of them.
func (p *project) idFilter(ids []string) (predicate, error) {
	internal := 0
	for _, id := range ids {
		if strings.HasPrefix(id, "member-") {
			internal++
		}
	}
	if internal != 0 && internal != len(ids) {
		return nil, searchError("member_search_cannot_mix_internal_and_external_member_ids",
			"All ids of one filter are member ids, or all are external ids.")
	}
	set := map[rowRef]bool{}
	for _, id := range ids {
		if internal > 0 {
			if ref, _, ok := p.memberByID(id); ok {
				set[ref] = true
			}
			continue
		}
		for _, o := range p.orgs {
			if ref, _, ok := p.memberByExternalID(o, id); ok {
				set[ref] = true
			}
		}
	}
	return func(c candidate) bool { return set[rowRef{c.o.index, c.index}] }, nil
}
