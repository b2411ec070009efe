// Package templates holds the pages of the console: one .templ file for each
// screen, with its view model in the .go file of the same name. A view model
// holds exactly what is shown, already worded and formatted; templates decide
// nothing and import nothing internal. Every value is text: templ escapes it,
// and no URL or HTML from upstream is ever loaded or rendered.
package templates
