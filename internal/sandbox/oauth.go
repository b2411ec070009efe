package sandbox

// register adds to a member the registrations that go with factors it has proven, and reports whether there were new ones.
func (s *Sandbox) register(m *member, factors []authFactor) bool {
	_, _ = m, factors
	return false
}
