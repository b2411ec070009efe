// Package database opens the store, brings its tables up to date and knows the
// two SQL dialects, so that the packages that own tables need not: they write
// SQL that SQLite and PostgreSQL both take, with `?` for arguments, and where
// the two differ call a method of DB. Which tables there are is told by the
// migrations; what the rows mean belongs to internal/audit and
// internal/helpdesk, who alone read and write them.
//
// On PostgreSQL a `?` outside of quotes is an argument, so operators that are
// spelled with one cannot be used; and of text that PostgreSQL does not take,
// bytes that are no UTF-8 and zero bytes become U+FFFD.
package database
