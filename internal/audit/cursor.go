package audit

// Cursor is the cursor of the page of what is older than a place, as Next of
// a page that ends there: Newer takes it to go back from any page.
func Cursor(seq int64) string { return formatCursor(seq) }
