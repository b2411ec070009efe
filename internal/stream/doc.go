// Package stream sends the audit out of the console: events to a sink,
// checkpoints to a witness. It owns the promise that everything arrives at
// least once and each log in its order, and the format of the messages, which
// are Standard Webhooks (https://www.standardwebhooks.com). How far each log
// has come is kept by package audit, in the store.
package stream
