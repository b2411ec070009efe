package stytch

import "context"

// WhoAmIResponse names the project the credentials belong to.
type WhoAmIResponse struct {
	Response

	ProjectID string `json:"project_id"`
	Name      string `json:"name"`
}

func (r *WhoAmIResponse) problem() string {
	if r.ProjectID == "" {
		return "project_id is missing"
	}
	return ""
}

// WhoAmI asks which project the credentials belong to, the cheapest way to try them: GET /v1/debug/whoami.
func (c *Client) WhoAmI(ctx context.Context) (*WhoAmIResponse, error) {
	var out WhoAmIResponse
	if err := c.do(ctx, request{endpoint: "GET /v1/debug/whoami"}, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
