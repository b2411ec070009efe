package sandbox

type whoamiReply struct {
	reply
	ProjectID string `json:"project_id"`
	Name      string `json:"name"`
}

func whoami(c *call) (answer, error) {
	return &whoamiReply{ProjectID: c.info.ProjectID, Name: "Org Console sandbox"}, nil
}

func getOrganization(c *call) (answer, error) {
	p := c.project
	p.mu.RLock()
	defer p.mu.RUnlock()
	o, err := p.findOrganization(c.params["organization_id"])
	if err != nil {
		return nil, err
	}
	return &organizationReply{Organization: *o.json}, nil
}
