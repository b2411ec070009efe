// Package audit owns the record of what people did with the console: the
// catalogue of events, their exact bytes, one Merkle tree (RFC 6962) for each
// organization and a system tree that lists them, signed checkpoints, proofs,
// and the verification of it all. Its tables are those named audit_*.
//
// What an operation is and when its events are due belongs to
// internal/helpdesk; what people see of them to internal/handlers.
//
// # Format
//
// An event is one line of JSON with all fields in a fixed order (see encode).
// The bytes stored are the bytes hashed; they are parsed, never encoded again.
// Email addresses, names and IP addresses are in them only as
// hex(SHA-256(salt || text)), with salt and text in a side table, so that a
// person can be erased and the tree still verifies. Bytes may be purged: the
// leaf's hash stays. An event says which (see cover).
//
// A checkpoint is a note (golang.org/x/mod/sumdb/note) of three lines: the
// tree's origin, its size, and its root hash in base64. The origin names the
// store, by an id drawn when it was made, and the organization. The store
// keeps only the newest checkpoint of a tree; each is logged once its
// transaction is committed. The first signature is the key's that signs from
// then on; a second one is that of the key before, where the key was changed.
package audit
