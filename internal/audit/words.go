package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord is how many bytes of a word, or of an id, are looked at in a search. What is longer is held against the text.
const maxWord = 64

// A word is a run of letters, digits and marks. Scripts that are written
// without spaces have one word for each character, so that what stands in the
// middle of a line is found too.

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// aloneRune reports whether a character is a word by itself.
func aloneRune(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// nextWord returns the first word of a folded text, and what follows it.
func nextWord(s string) (word, rest string) {
	start := -1
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		var in bool
		if r < utf8.RuneSelf {
			in = '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		} else {
			r, n = utf8.DecodeRuneInString(s[i:])
			in = wordRune(r)
		}
		switch {
		case in && aloneRune(r):
			if start < 0 {
				return s[i : i+n], s[i+n:]
			}
			return s[start:i], s[i:]
		case in && start < 0:
			start = i
		case !in && start >= 0:
			return s[start:i], s[i:]
		}
		i += n
	}
	if start < 0 {
		return "", ""
	}
	return s[start:], ""
}

// cutWord is as much of a word as a search looks at.
func cutWord(word string) string {
	if len(word) <= maxWord {
		return word
	}
	n := maxWord
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n]
}

// beginsIn reports whether a folded text has the folded part, from where one
// of its words begins.
func beginsIn(text, part string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], part)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		first, n := utf8.DecodeRuneInString(part)
		if i == 0 || !wordRune(first) || !wordRune(before) || aloneRune(first) || aloneRune(before) {
			return true
		}
		from = i + n
	}
}
