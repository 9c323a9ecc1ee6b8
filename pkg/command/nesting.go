package command

// maxNesting bounds what the recursive-descent parser is given.
const maxNesting = 120

// nestingTooDeep counts openers and closers whatever their quoting, and so
// errs towards refusing: what is refused is read by words.
func nestingTooDeep(text string) bool {
	var round, curly, square, words, prefix, ticks int
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '(':
			round++
		case ')':
			round = max(0, round-1)
		case '{':
			curly++
		case '}':
			curly = max(0, curly-1)
		case '[':
			square++
		case ']':
			square = max(0, square-1)
		case '`':
			if ticks++; i > 0 && text[i-1] == '\\' && ticks > 64 {
				return true
			}
		case '!', '-', '~', '+':
			if prefix++; prefix > 1000 {
				return true
			}
			continue
		default:
			if c >= 'a' && c <= 'z' && (i == 0 || !isWordByte(text[i-1])) {
				words = max(0, words+keywordStep(text[i:]))
			}
			if c != ' ' {
				prefix = 0
			}
		}
		if round > maxNesting || curly > maxNesting || square > maxNesting || words > maxNesting {
			return true
		}
	}
	return false
}

// keywordStep is +1 where a compound command begins, -1 where one ends.
func keywordStep(s string) int {
	n := 0
	for n < len(s) && n < 9 && s[n] >= 'a' && s[n] <= 'z' {
		n++
	}
	switch s[:n] {
	case "if", "while", "until", "for", "case", "select", "time", "coproc", "function":
		return 1
	case "fi", "done", "esac":
		return -1
	}
	return 0
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
