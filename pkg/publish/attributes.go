package publish

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Pub/Sub's limits of a message's attributes, in bytes of UTF-8
// (cloud.google.com/pubsub/quotas, "Resource limits").
const (
	maxAttributes = 100
	maxKey        = 256
	maxValue      = 1024
)

// reserved is the prefix of attribute keys that only Google may set.
const reserved = "goog"

// droppedKey counts the original attributes that were left out or cut.
const droppedKey = "dropped_attributes"

type attribute struct{ key, value string }

// original is put before the key of an original attribute that is named as one
// of ours, as often as it takes to find a key of its own: a dead letter that
// was replayed and failed again has our attributes already.
const original = "original_"

// legal returns attributes that Pub/Sub takes: ours, and as many of the
// originals as fit, in order of their keys. An original that is named as one of
// ours is kept under another key, also where ours is empty.
func legal(originals map[string]string, ours []attribute) map[string]string {
	out := make(map[string]string, len(originals)+len(ours)+1)
	own := map[string]bool{droppedKey: true}
	for _, a := range ours {
		own[a.key] = true
		if v, _ := clip(a.value); v != "" {
			out[a.key] = v
		}
	}
	dropped := 0
	for _, from := range slices.Sorted(maps.Keys(originals)) {
		k := from
		for taken := own[k]; taken; _, taken = originals[k] {
			k = original + k
		}
		// The last place is kept for the count.
		if !legalKey(k) || len(out) >= maxAttributes-1 {
			dropped++
			continue
		}
		v, whole := clip(originals[from])
		if !whole {
			dropped++
		}
		out[k] = v
	}
	if dropped > 0 {
		out[droppedKey] = strconv.Itoa(dropped)
	}
	return out
}

func legalKey(k string) bool {
	return k != "" && len(k) <= maxKey && utf8.ValidString(k) && !strings.HasPrefix(strings.ToLower(k), reserved)
}

// clip returns v as valid UTF-8 of at most maxValue bytes, ending with a whole
// character, and whether it is still all of v.
func clip(v string) (clipped string, whole bool) {
	clipped = strings.ToValidUTF8(v, "\uFFFD")
	if len(clipped) > maxValue {
		end := maxValue
		for end > 0 && !utf8.RuneStart(clipped[end]) {
			end--
		}
		clipped = clipped[:end]
	}
	return clipped, clipped == v
}
