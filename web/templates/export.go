package templates

// Export is the menu of what the audit page shows as files.
type Export struct {
	Formats  []ExportFormat
	Disabled string // why nothing may be exported; the formats are then no links
	Size     string // how much it is, where that is much
}

// ExportFormat is one of them.
type ExportFormat struct{ Text, Hint, URL string }
