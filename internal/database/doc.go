// Package database opens the store, brings its tables up to date and knows the
// SQL dialect, so that the packages that own tables need not: they write
// portable SQL with `?` for arguments. Which tables there are is told by the
// migrations; what the rows mean belongs to internal/audit and
// internal/helpdesk, who alone read and write them.
package database
