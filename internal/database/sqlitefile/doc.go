// Package sqlitefile reads b-trees out of the file of an SQLite database, as
// https://www.sqlite.org/fileformat2.html describes them. It is for reading
// millions of rows in the order of a key: SQLite, as this program has it, takes
// several times as long to hand over a row.
//
// It knows pages, cells and records, and neither SQL, schema, journal nor locks:
// the caller says where a tree begins and what its records consist of, and sees
// to it that the file holds the state that it wants, all of it and unchanged
// (see database.Pages).
//
// It finds what SQLite finds: it goes down a tree by the same comparisons.
// Whatever is not as SQLite writes it is ErrFormat, so that SQLite can be asked
// instead. A file that was made to do so can make it fail, but neither panic nor
// go on for ever.
package sqlitefile
