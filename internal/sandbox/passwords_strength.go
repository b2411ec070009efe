package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How a password is judged. LUDS counts kinds of characters, zxcvbn guesses how often one has to guess.
const (
	strongEnough    = 3 // zxcvbn's score
	ludsLength      = 8
	ludsComplexity  = 3
	minimalWordSize = 4
)

type strengthReply struct {
	reply
	ValidPassword  bool            `json:"valid_password"`
	Score          int             `json:"score"`
	Breached       bool            `json:"breached_password"`
	Policy         string          `json:"strength_policy"`
	BreachOnCreate bool            `json:"breach_detection_on_create"`
	Zxcvbn         *zxcvbnFeedback `json:"zxcvbn_feedback"`
	LUDS           *ludsFeedback   `json:"luds_feedback"`
}

type zxcvbnFeedback struct {
	Warning     string   `json:"warning"`
	Suggestions []string `json:"suggestions"`
}

type ludsFeedback struct {
	HasLowerCase      bool `json:"has_lower_case"`
	HasUpperCase      bool `json:"has_upper_case"`
	HasDigit          bool `json:"has_digit"`
	HasSymbol         bool `json:"has_symbol"`
	MissingComplexity int  `json:"missing_complexity"`
	MissingCharacters int  `json:"missing_characters"`
}

func checkStrength(c *call) (answer, error) {
	var in struct {
		EmailAddress string `json:"email_address"`
		Password     string `json:"password"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Password == "" {
		return nil, badRequest("The password is missing.")
	}
	c.project.mu.RLock()
	luds := c.project.switches.ludsPasswords
	c.project.mu.RUnlock()
	out := judge(in.Password, in.EmailAddress, luds)
	return &out, nil
}

// acceptable refuses a password that must not be set. It needs project.mu.
func (c *call) acceptable(password, email string) error {
	switch judged := judge(password, email, c.project.switches.ludsPasswords); {
	case password == "":
		return badRequest("The password is missing.")
	case judged.Breached:
		return fail(http.StatusBadRequest, "breached_password", "The password is known from a breach of another service.")
	case !judged.ValidPassword:
		return fail(http.StatusBadRequest, "weak_password", "The password is too easy to guess.")
	default:
		return nil
	}
}

func judge(password, email string, luds bool) strengthReply {
	out := strengthReply{Policy: "zxcvbn", BreachOnCreate: true, Breached: breached(password)}
	guess, known := guessed(password, email)
	switch {
	case guess < 6:
		out.Score = 1
	case guess < 8:
		out.Score = 2
	case guess < 10:
		out.Score = 3
	default:
		out.Score = 4
	}
	if luds {
		out.Policy, out.LUDS = "luds", countKinds(password)
		out.ValidPassword = out.LUDS.MissingComplexity == 0 && out.LUDS.MissingCharacters == 0
	} else {
		out.Zxcvbn = &zxcvbnFeedback{Suggestions: []string{}}
		out.ValidPassword = out.Score >= strongEnough
		if !out.ValidPassword {
			out.Zxcvbn.Suggestions = append(out.Zxcvbn.Suggestions, "Add another word or two. Uncommon words are better.")
			if known {
				out.Zxcvbn.Warning = "This is similar to a commonly used password."
			}
		}
	}
	out.ValidPassword = out.ValidPassword && !out.Breached
	return out
}

// commonWords are what many passwords are made of.
func commonWords() []string {
	return []string{"password", "passwort", "qwerty", "qwertz", "letmein", "welcome", "iloveyou", "monkey", "dragon", "football", "admin", "secret", "login"}
}

// breached knows some passwords that every list of leaked ones has.
func breached(password string) bool {
	return slices.Contains([]string{
		"password", "password1", "password123", "passw0rd", "p@ssw0rd", "123456", "12345678", "123456789", "1234567890", "qwerty", "qwerty123",
		"qwertyuiop", "iloveyou", "letmein", "welcome1", "admin123", "abc123", "monkey", "dragon", "correcthorsebatterystaple",
	}, strings.ToLower(strings.ReplaceAll(password, " ", "")))
}

// guessed estimates the decimal logarithm of the guesses it takes, as zxcvbn does in the rough: one for each character,
// but repetitions, sequences, common words and parts of the address are known to whoever guesses.
func guessed(password, email string) (guess int, known bool) {
	text := strings.ToLower(password)
	words := append(commonWords(), strings.FieldsFunc(strings.ToLower(email), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })...)
	for _, word := range words {
		if len(word) >= minimalWordSize && strings.Contains(text, word) {
			text, known = strings.ReplaceAll(text, word, "\x00"), true
		}
	}
	last := rune(-2)
	for _, r := range text {
		if step := r - last; step < -1 || step > 1 {
			guess++
		}
		last = r
	}
	return guess, known
}

func countKinds(password string) *ludsFeedback {
	f := &ludsFeedback{MissingCharacters: max(0, ludsLength-utf8.RuneCountInString(password))}
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			f.HasLowerCase = true
		case unicode.IsUpper(r):
			f.HasUpperCase = true
		case unicode.IsDigit(r):
			f.HasDigit = true
		default:
			f.HasSymbol = true
		}
	}
	kinds := 0
	for _, has := range []bool{f.HasLowerCase, f.HasUpperCase, f.HasDigit, f.HasSymbol} {
		if has {
			kinds++
		}
	}
	f.MissingComplexity = max(0, ludsComplexity-kinds)
	return f
}
