package stytch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// MaxSearchLimit is the largest page the API gives.
	MaxSearchLimit = 1000
	// MinFuzzyLength is the fewest characters a fuzzy filter takes.
	MinFuzzyLength = 3
)

// MemberSearchRequest asks for one page of members that pass all filters.
type MemberSearchRequest struct {
	// OrganizationIDs must hold real ids, not slugs. With an acting session anything but its own organization is
	// refused by the API.
	OrganizationIDs []string
	Cursor          string // NextCursor of the page before
	Limit           int    // 0 is the API's default of 100
	Filters         []Filter
}

// Filter is one condition of a member search.
type Filter struct {
	Name  string `json:"filter_name"`
	Value any    `json:"filter_value"`
}

// MemberIDs matches members by exact id: all of them Stytch's or all of them external, not a mix.
func MemberIDs(ids ...string) Filter { return Filter{Name: "member_ids", Value: ids} }

// MemberEmails matches members by exact address.
func MemberEmails(addresses ...string) Filter { return Filter{Name: "member_emails", Value: addresses} }

// EmailFuzzy matches members by part of their address, of [MinFuzzyLength] characters or more.
func EmailFuzzy(part string) Filter { return Filter{Name: "member_email_fuzzy", Value: part} }

// Statuses matches members by status. Without this filter deleted members are left out.
func Statuses(statuses ...string) Filter { return Filter{Name: "statuses", Value: statuses} }

// PasswordExists matches members that have a password, or have none.
func PasswordExists(exists bool) Filter {
	return Filter{Name: "member_password_exists", Value: exists}
}

// MemberRoles matches members that have any of the roles.
func MemberRoles(roleIDs ...string) Filter { return Filter{Name: "member_roles", Value: roleIDs} }

func (f Filter) check() error {
	switch v := f.Value.(type) {
	case []string:
		if len(v) == 0 {
			return fmt.Errorf("%w: filter %s has no values", ErrBadArgument, f.Name)
		}
	case string:
		if f.Name == "member_email_fuzzy" && utf8.RuneCountInString(v) < MinFuzzyLength {
			return fmt.Errorf("%w: filter %s is shorter than %d characters", ErrBadArgument, f.Name, MinFuzzyLength)
		}
	}
	return nil
}

func (r MemberSearchRequest) check() error {
	if len(r.OrganizationIDs) == 0 {
		return fmt.Errorf("%w: organization_ids is empty", ErrBadArgument)
	}
	if r.Limit < 0 || r.Limit > MaxSearchLimit {
		return fmt.Errorf("%w: limit is not between 0 and %d", ErrBadArgument, MaxSearchLimit)
	}
	var errs []error
	for _, id := range r.OrganizationIDs {
		errs = append(errs, checkID("organization_ids", id))
	}
	for _, f := range r.Filters {
		errs = append(errs, f.check())
	}
	return errors.Join(errs...)
}

type searchBody struct {
	OrganizationIDs []string     `json:"organization_ids"`
	Cursor          string       `json:"cursor,omitempty"`
	Limit           int          `json:"limit,omitempty"`
	Query           *searchQuery `json:"query,omitempty"`
}

type searchQuery struct {
	Operator string   `json:"operator"`
	Operands []Filter `json:"operands"`
}

// MemberSearchResponse is one page of a search.
type MemberSearchResponse struct {
	Response

	Members       []Member
	Total         int    // -1 when unknown: a workspace may have totals turned off
	NextCursor    string // empty on the last page
	Organizations map[string]Organization

	members json.RawMessage // absent, unlike null, is not an answer to a search
}

// UnmarshalJSON flattens results_metadata and accepts null for everything.
func (r *MemberSearchResponse) UnmarshalJSON(data []byte) error {
	var wire struct {
		RequestID       string                  `json:"request_id"`
		Members         json.RawMessage         `json:"members"`
		Organizations   map[string]Organization `json:"organizations"`
		ResultsMetadata struct {
			Total      lenientInt `json:"total"`
			NextCursor string     `json:"next_cursor"`
		} `json:"results_metadata"`
	}
	if err := decodeLenient(data, &wire); err != nil {
		return err
	}
	*r = MemberSearchResponse{
		Response:      Response{RequestID: wire.RequestID},
		Total:         -1,
		NextCursor:    wire.ResultsMetadata.NextCursor,
		Organizations: wire.Organizations,
		members:       wire.Members,
	}
	if t := wire.ResultsMetadata.Total; t.ok && t.n >= 0 {
		r.Total = t.n
	}
	if isArray(wire.Members) {
		return decodeLenient(wire.Members, &r.Members)
	}
	return nil
}

func (r *MemberSearchResponse) problem() string {
	if !isArray(r.members) && !isNull(r.members) {
		return "members is missing"
	}
	for i := range r.Members {
		if r.Members[i].MemberID == "" || r.Members[i].OrganizationID == "" {
			return problemNoMember
		}
	}
	r.members = nil
	return ""
}

// SearchMembers returns one page of members: POST /v1/b2b/organizations/members/search.
//
// The acting session needs search on stytch.member. The API limits searches to about 100 a minute and they may take
// seconds, so do not search per keystroke. The order of members is not documented. A page that holds a member of an
// organization that was not asked for is an [AnswerError].
func (c *Client) SearchMembers(ctx context.Context, acting ActingSession, req MemberSearchRequest) (*MemberSearchResponse, error) {
	const endpoint = "POST /v1/b2b/organizations/members/search"
	if err := req.check(); err != nil {
		return nil, badArgument(endpoint, err)
	}
	body := searchBody{OrganizationIDs: req.OrganizationIDs, Cursor: req.Cursor, Limit: req.Limit}
	if len(req.Filters) > 0 {
		body.Query = &searchQuery{Operator: "AND", Operands: req.Filters}
	}
	var out MemberSearchResponse
	if err := c.doAs(ctx, acting, request{endpoint: endpoint, body: body, timeout: c.searchTimeout}, &out); err != nil {
		return nil, err
	}
	for i := range out.Members {
		if !slices.Contains(req.OrganizationIDs, out.Members[i].OrganizationID) {
			return nil, &AnswerError{
				Endpoint: endpoint, Status: out.StatusCode, RequestID: out.RequestID,
				Problem: "a member of another organization",
			}
		}
	}
	return &out, nil
}
