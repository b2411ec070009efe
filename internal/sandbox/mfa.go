package sandbox

// memberMFA is what a member's second factors keep to themselves.
type memberMFA struct{}
