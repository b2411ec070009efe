package sandbox

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// idpTokenLifetime is how long the way back from the identity provider may take.
	idpTokenLifetime = 5 * time.Minute
	// maxLikely is how many people the identity provider's page offers.
	maxLikely = 20

	idpTitle = "Stand-in identity provider"
)

// visit is a sign-in on its way through the identity provider, as the query that started it says. The page is given the
// same query and reads it again, so that nothing has to be remembered.
type visit struct {
	kind       landingKind
	org        *organization // nil: discovery
	connection ssoConnection // SSO
	provider   string        // OAuth
	login      string        // redirect URL; "": the project's default
	signup     string        // the same for those who have not signed in before
	challenge  string
}

// visit needs project.mu.
func (s *Sandbox) visit(kind landingKind, provider string, query url.Values) (v visit, err error) {
	v = visit{kind: kind, provider: provider, challenge: query.Get("pkce_code_challenge")}
	switch public := query.Get("public_token"); {
	case public == "":
		return v, fail(http.StatusBadRequest, "public_token_required", "The public_token is missing.")
	case public != s.info.PublicToken:
		return v, fail(http.StatusBadRequest, "public_token_not_found", "The public_token is not that of this project.")
	case kind != landSSO && providerNames[provider] == "":
		return v, fail(http.StatusBadRequest, "invalid_oauth_provider", "Providers are google, microsoft, hubspot, slack and github.")
	}
	if kind == landDiscoveryOAuth {
		v.login = query.Get("discovery_redirect_url")
		err = checkRedirect(v.login, "invalid_discovery_redirect_url")
	} else {
		v.login, v.signup = query.Get("login_redirect_url"), query.Get("signup_redirect_url")
		err = errors.Join(checkRedirect(v.login, "invalid_login_redirect_url"), checkRedirect(v.signup, "invalid_signup_redirect_url"))
	}
	if err != nil {
		return v, err
	}
	if err := checkChallenge(v.challenge); err != nil {
		return v, err
	}
	switch kind {
	case landSSO:
		v.org, v.connection, err = s.project.connectionOf(query.Get("organization_id"), query.Get("connection_id"))
	case landOAuth:
		v.org, err = s.project.organizationOf(query.Get("organization_id"), query.Get("slug"))
	default: // discovery has no organization yet
	}
	return v, err
}

// toIDP answers the start of a sign-in: it leads to the identity provider.
func (c *call) toIDP(kind landingKind, path string) output {
	c.project.mu.RLock()
	defer c.project.mu.RUnlock()
	if _, err := c.visit(kind, c.params["provider"], c.query); err != nil {
		return idpError(err)
	}
	return redirectOutput(http.StatusFound, path+"?"+c.query.Encode())
}

var (
	idpErrorBody = template.Must(template.New("error").Parse(`<p>{{.Message}}</p>
<p>The sign-in cannot go on: <strong>{{.Type}}</strong>. Go back and start again.</p>
`))
	idpBody = template.Must(template.New("idp").Parse(`<p>This page stands in for <strong>{{.Provider}}</strong>{{with .Organization}}, with which people sign in to <strong>{{.}}</strong>{{end}}. It asks for no password: say who you are.</p>
<form method="post" action="{{.Action}}">
{{with .People}}<label for="email">Person</label>
<select id="email" name="email" autocomplete="off">
{{range .}}<option value="{{.Email}}">{{.Label}}</option>
{{end}}</select>
{{end}}<label for="other">Another email address</label>
<input id="other" name="other" type="email" autocomplete="off" spellcheck="false">
<button type="submit">Continue</button>
</form>
<p><a href="{{.Cancel}}">Cancel</a></p>
`))
)

func idpError(err error) output {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = errInternal()
	}
	out := htmlOutput(http.StatusBadRequest, pageContent{Title: idpTitle, Body: idpErrorBody, Data: e})
	out.errorType = e.Type
	return out
}

// idpPage asks who signs in.
func (s *Sandbox) idpPage(kind landingKind, params map[string]string, r *http.Request) output {
	s.project.mu.RLock()
	defer s.project.mu.RUnlock()
	v, err := s.visit(kind, params["provider"], r.URL.Query())
	if err != nil {
		return idpError(err)
	}
	data := struct {
		Provider, Organization, Action, Cancel string
		People                                 []likelyPerson
	}{
		Provider: providerNames[v.provider], Action: r.URL.RequestURI(), Cancel: s.redirect(landing{redirect: v.login}),
		People: s.likely(v),
	}
	if v.org != nil {
		data.Organization = v.org.json.OrganizationName
	}
	if kind == landSSO {
		data.Provider = v.connection.DisplayName
	}
	return htmlOutput(http.StatusOK, pageContent{Title: idpTitle, Body: idpBody, Data: data})
}

// idpContinue leads back to the console with a token for the person who was chosen. Whether they may come in is for the
// call that redeems the token.
func (s *Sandbox) idpContinue(kind landingKind, params map[string]string, r *http.Request) output {
	email := strings.TrimSpace(r.PostFormValue("other"))
	if email == "" {
		email = strings.TrimSpace(r.PostFormValue("email"))
	}
	if err := checkEmail(email); err != nil {
		return idpError(err)
	}
	p := s.project
	p.mu.Lock()
	defer p.mu.Unlock()
	v, err := s.visit(kind, params["provider"], r.URL.Query())
	if err != nil {
		return idpError(err)
	}
	l := landing{kind: kind, email: email, redirect: v.login, challenge: v.challenge, expires: s.nowUTC().Add(idpTokenLifetime)}
	if kind != landSSO {
		l.factors = []authFactor{s.oauthFactor(v.provider, email)}
	}
	extra := ""
	if v.org != nil {
		if ref, m, ok := p.memberByEmail(v.org, email); ok {
			l.ref = &ref
			if v.signup != "" && m.json.Status != statusActive {
				l.redirect = v.signup
			}
			if kind == landSSO {
				l.factors = []authFactor{s.ssoFactor(m, v.connection)}
			}
		} else {
			extra = "&slug=" + url.QueryEscape(v.org.json.OrganizationSlug) // landingURL knows it of members only
		}
	}
	return redirectOutput(http.StatusSeeOther, s.landingURL(l, s.newLanding(l))+extra)
}

type likelyPerson struct{ Email, Label string }

// likely are the people the page offers: those whom this provider knows already come first, and for discovery those who
// have something to choose from. It needs project.mu.
func (s *Sandbox) likely(v visit) []likelyPerson {
	p := s.project
	var known, others []likelyPerson
	seen := map[string]bool{}
	for _, noted := range p.people {
		m := p.member(noted.ref)
		if v.org != nil && noted.ref.org != v.org.index || m.json.Status == statusDeleted || seen[m.json.EmailAddress] {
			continue
		}
		seen[m.json.EmailAddress] = true
		person := likelyPerson{Email: m.json.EmailAddress, Label: m.json.EmailAddress}
		if m.json.Name != "" {
			person.Label = m.json.Name + ", " + m.json.EmailAddress
		}
		if v.knows(m) || v.org == nil && len(p.activeWithEmail(m.json.EmailAddress)) > 1 {
			known = append(known, person)
		} else {
			others = append(others, person)
		}
	}
	known = append(known, others...)
	return known[:min(len(known), maxLikely)]
}

// knows reports whether a member has signed in with the identity provider before.
func (v visit) knows(m *member) bool {
	if v.kind == landSSO {
		return slices.ContainsFunc(m.json.SSORegistrations, func(r ssoRegistration) bool { return r.ConnectionID == v.connection.ConnectionID })
	}
	return slices.ContainsFunc(m.json.OAuthRegistrations, func(r oauthRegistration) bool { return r.ProviderType == providerNames[v.provider] })
}

// idpRoutes are the pages of the identity provider.
func idpRoutes() []pageRoute {
	var routes []pageRoute
	for kind, template := range map[landingKind]string{
		landSSO: "/idp/sso", landOAuth: "/idp/oauth/{provider}", landDiscoveryOAuth: "/idp/oauth/{provider}/discovery",
	} {
		routes = append(routes,
			pageRoute{http.MethodGet, template, func(s *Sandbox, params map[string]string, r *http.Request) output {
				return s.idpPage(kind, params, r)
			}},
			pageRoute{http.MethodPost, template, func(s *Sandbox, params map[string]string, r *http.Request) output {
				return s.idpContinue(kind, params, r)
			}})
	}
	return routes
}
