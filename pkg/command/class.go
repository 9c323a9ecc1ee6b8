package command

import (
	"cmp"
	"slices"
)

// Class is how much a behaviour, or a whole command line, weighs.
type Class int

// The classes in order. The zero value is Neutral: nothing speaks for or
// against the command.
const (
	// Benign is a command that is explained and shows nothing else.
	Benign Class = iota - 1
	// Neutral is what both operators and attackers do.
	Neutral
	// Suspicious is what is rare in a container and common in an attack.
	Suspicious
	// Malicious is what hardly anybody but an attacker does.
	Malicious
)

// String returns "benign", "neutral", "suspicious" or "malicious".
func (c Class) String() string {
	switch {
	case c <= Benign:
		return "benign"
	case c == Neutral:
		return "neutral"
	case c == Suspicious:
		return "suspicious"
	default:
		return "malicious"
	}
}

// Class is the weight of the whole reading: that of its heaviest hit. It is
// Benign only when something explains the command and nothing else was seen.
func (r Reading) Class() Class {
	if len(r.Hits) == 0 {
		return Neutral
	}
	return slices.MaxFunc(r.Hits, func(a, b Hit) int { return cmp.Compare(a.Class, b.Class) }).Class
}

// Merge returns r with what other adds: each behaviour once with its heavier
// occurrence, indicators and payloads of r first. Neither reading is changed.
func (r Reading) Merge(other Reading) Reading {
	out := Reading{
		Truncated: r.Truncated || other.Truncated,
		Unparsed:  r.Unparsed || other.Unparsed,
	}
	out.Hits = mergeHits(slices.Concat(r.Hits, other.Hits))
	for _, list := range [][]Indicator{r.Indicators, other.Indicators} {
		for _, i := range list {
			if len(out.Indicators) < MaxIndicators && !slices.Contains(out.Indicators, i) {
				out.Indicators = append(out.Indicators, i)
			}
		}
	}
	for _, list := range [][]string{r.Decoded, other.Decoded} {
		for _, d := range list {
			if len(out.Decoded) < maxDecoded && !slices.Contains(out.Decoded, d) {
				out.Decoded = append(out.Decoded, d)
			}
		}
	}
	return out
}

// mergeHits keeps each behaviour once, with its heaviest occurrence and all
// techniques, strongest first.
func mergeHits(hits []Hit) []Hit {
	var out []Hit
	for _, h := range hits {
		i := slices.IndexFunc(out, func(o Hit) bool { return o.Behavior == h.Behavior })
		if i < 0 {
			h.Techniques = slices.Clone(h.Techniques)
			out = append(out, h)
			continue
		}
		for _, t := range h.Techniques {
			if !slices.Contains(out[i].Techniques, t) {
				out[i].Techniques = append(out[i].Techniques, t)
			}
		}
		if h.Class > out[i].Class {
			out[i].Class, out[i].Text = h.Class, h.Text
		}
	}
	slices.SortStableFunc(out, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Class, a.Class), cmp.Compare(a.Behavior.rank(), b.Behavior.rank()))
	})
	return out
}
