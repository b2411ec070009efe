// Package handlers owns everything that knows Echo, cookies and pages: the one
// route table, the middleware around it, sessions, the one place where errors
// become pages, and one file for each screen or action. What an operation does,
// in which order and what is recorded of it is in package helpdesk; how a page
// looks is in web/templates.
package handlers
