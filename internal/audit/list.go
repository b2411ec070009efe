package audit

import (
	"context"
	"errors"
	"time"
)

// Filter narrows a list. The zero value of a field asks for everything.
type Filter struct {
	ActorQuery  string // member id, or part of the email
	TargetQuery string // id, or part of the name or the email
	Action      string
	Outcome     string
	From        time.Time // included
	To          time.Time // not included
	OperationID string
}

// Page is a part of a list, newest first.
type Page struct {
	Events []Event
	Next   string // cursor of the next page, "" on the last
}

// List returns the events of an organization that fit the filter, newest first, from a cursor on.
func (l *Log) List(ctx context.Context, organizationID string, f Filter, cursor string, limit int) (Page, error) {
	return Page{}, errors.New("todo")
}

// Operation returns the events of one operation, oldest first.
func (l *Log) Operation(ctx context.Context, organizationID, operationID string) ([]Event, error) {
	return nil, errors.New("todo")
}
