package stytch

// MaxBody is the size cap of an answer.
const MaxBody = maxBody
