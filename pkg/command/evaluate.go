package command

import (
	"slices"
	"strings"
)

// constOutput computes the output of a pipeline of pure commands over
// constants: echo, printf and cat of a here-document, through decoders.
// Nothing is run.
func (s *scan) constOutput(nodes []*node) (string, bool) {
	if len(nodes) == 0 || len(nodes) > maxPipe {
		return "", false
	}
	out, ok := s.source(nodes[0])
	if !ok {
		return "", false
	}
	for _, n := range nodes[1:] {
		if !slices.Contains(n.from, nodes[0]) {
			return "", false
		}
		if out, ok = s.filter(n, out); !ok || len(out) > maxUnpacked {
			return "", false
		}
	}
	return out, true
}

// source is the constant output of the first command of a pipeline.
func (s *scan) source(n *node) (string, bool) {
	switch n.name {
	case "echo":
		return echo(n.args), true
	case "printf":
		return printf(n.args)
	}
	if n.hasStdin {
		return s.filter(n, n.stdin)
	}
	return "", false
}

func echo(args []string) string {
	escapes := false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		escapes = escapes || strings.Contains(args[0], "e")
		args = args[1:]
	}
	out := strings.Join(args, " ")
	if escapes || strings.Contains(out, `\x`) || strings.Contains(out, `\0`) {
		out = ansiC(out)
	}
	return out
}

// printf computes formats with %s, %b, %c and %d only.
func printf(args []string) (string, bool) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 || args[0] == "-v" {
		return "", false
	}
	format, rest := ansiC(args[0]), args[1:]
	if !strings.Contains(format, "%") {
		return format, true
	}
	var b strings.Builder
	for first := true; (first || len(rest) > 0) && b.Len() < maxValue; first = false {
		used := false
		for i := 0; i < len(format); i++ {
			if format[i] != '%' || i+1 == len(format) {
				b.WriteByte(format[i])
				continue
			}
			i++
			switch format[i] {
			case '%':
				b.WriteByte('%')
			case 's', 'b', 'c', 'd':
				if len(rest) > 0 {
					b.WriteString(ansiC(rest[0]))
					rest = rest[1:]
				}
				used = true
			default:
				return "", false
			}
		}
		if !used {
			break
		}
	}
	return b.String(), true
}

// filter applies a pure command to its constant input.
func (s *scan) filter(n *node, in string) (string, bool) {
	if !s.scans(in) {
		return "", false
	}
	switch n.name {
	case "cat", "tee", "pv":
		return in, n.name == "tee" || len(n.operands("")) == 0 || n.has("-")
	case "base64", "gbase64":
		if !isDecoder(n) {
			return "", false
		}
		b, ok := decodeBase64(in)
		return string(b), ok
	case "base32":
		b, ok := decodeBase32(in)
		return string(b), ok && isDecoder(n)
	case "xxd":
		b, ok := decodeHex(in)
		return string(b), ok && n.short('r')
	case "openssl":
		if !isDecoder(n) || !n.has("-base64", "-a", "base64") || n.any(func(a string) bool { return strings.HasPrefix(a, "-aes") }) {
			return "", false
		}
		b, ok := decodeBase64(in)
		return string(b), ok
	case "gunzip", "zcat", "gzip", "bunzip2", "bzcat", "bzip2", "zlib-flate", "pigz", "unpigz":
		return string(s.decompress([]byte(in))), isDecoder(n)
	case "rev":
		return reverse(in), true
	case "tac":
		lines := strings.Split(in, "\n")
		slices.Reverse(lines)
		return strings.Join(lines, "\n"), true
	case "tr":
		return translate(n.args, in)
	case "sed":
		return substitute(n.args, in)
	}
	return "", false
}

func reverse(in string) string {
	lines := strings.Split(in, "\n")
	for i, l := range lines {
		r := []rune(l)
		slices.Reverse(r)
		lines[i] = string(r)
	}
	return strings.Join(lines, "\n")
}

// translate is tr over plain sets, ranges and -d.
func translate(args []string, in string) (string, bool) {
	if len(args) != 2 {
		return "", false
	}
	if args[0] == "-d" {
		set := string(runes(args[1]))
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(set, r) {
				return -1
			}
			return r
		}, in), true
	}
	from, to := runes(args[0]), runes(args[1])
	if len(from) == 0 || len(to) == 0 || strings.HasPrefix(args[0], "-") {
		return "", false
	}
	table := make(map[rune]rune, len(from))
	for i := len(from) - 1; i >= 0; i-- { // the first of a letter that stands twice wins
		table[from[i]] = to[min(i, len(to)-1)]
	}
	return strings.Map(func(r rune) rune {
		if t, ok := table[r]; ok {
			return t
		}
		return r
	}, in), true
}

// runes expands the ranges and escapes of a tr set.
func runes(set string) []rune {
	in := []rune(ansiC(strings.Trim(set, "[]")))
	var out []rune
	for i := 0; i < len(in) && len(out) < 512; i++ {
		if i+2 < len(in) && in[i+1] == '-' && in[i] <= in[i+2] && in[i+2] < 0x180 {
			for r := in[i]; r <= in[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, in[i])
	}
	return out
}

// substitute is sed with plain s/from/to/g scripts.
func substitute(args []string, in string) (string, bool) {
	if len(args) > 0 && (args[0] == "-e" || args[0] == "-E") {
		args = args[1:]
	}
	if len(args) != 1 || len(args[0]) < 4 || args[0][0] != 's' {
		return "", false
	}
	p := strings.Split(args[0][2:], args[0][1:2])
	if len(p) != 3 || p[0] == "" || strings.ContainsAny(p[0], `.*[]\^$+?`) || strings.Count(in, p[0])*len(p[1]) > maxUnpacked {
		return "", false
	}
	n := 1
	if p[2] == "g" {
		n = -1
	}
	return strings.Replace(in, p[0], p[1], n), true
}

// isDecoder reports whether the command turns encoded or packed input into data.
func isDecoder(n *node) bool {
	switch n.name {
	case "base64", "base32", "gbase64", "basenc":
		return n.short('d') || n.short('D') || n.has("--decode", "--d", "--dec")
	case "xxd":
		return n.short('r')
	case "openssl":
		return n.has("-d") && n.any(func(a string) bool { return a == "enc" || a == "base64" || strings.HasPrefix(a, "aes") })
	case "gunzip", "zcat", "bunzip2", "bzcat", "xzcat", "unxz", "zstdcat", "unzstd", "unpigz", "uudecode", "lzcat":
		return true
	case "gzip", "bzip2", "xz", "zstd", "pigz", "lzma":
		return n.short('d') || n.has("--decompress", "--uncompress")
	case "rev", "tac":
		return true
	case "gpg":
		return n.has("-d", "--decrypt")
	case "python", "perl", "ruby", "php", "node", "awk":
		return n.argContains("b64decode", "decode_base64", "base64_decode", "Base64.decode", "unpack", "fromhex", "'base64'")
	}
	return false
}
