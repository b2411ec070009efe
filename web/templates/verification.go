package templates

// Verification is a check of the whole log: one under way, or the last.
type Verification struct {
	Page       Page
	Running    bool
	Done       int64
	Total      int64  // 0 while it is not known
	Progress   string // in words
	Text       string // who began it, and when
	Result     Notice // of one that is over; without a title nothing is known
	Did        []string
	DoesNot    []string // prove
	Checkpoint string
	EventURL   string // the event that says so
	Unrecorded string // why there is none
	Longer     string // why the newest checkpoint is of one record more
	Again      string // when it can be done again, if not now
}
