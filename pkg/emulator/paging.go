package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// pageSize gives the size to use; sizes outside 0 to most are refused.
func pageSize[T int32 | int](asked T, byDefault, most int) (int, error) {
	switch n := int(asked); {
	case n < 0 || n > most:
		return 0, invalid("Invalid page_size %d: it must be between 1 and %d.", n, most)
	case n == 0:
		return byDefault, nil
	default:
		return n, nil
	}
}

// page cuts one page out of a list. A token is good only with the parameters
// it was made for.
func page[T any](list []T, size int, token string, parameters ...string) (shown []T, next string, err error) {
	sum := sha256.Sum256([]byte(strings.Join(parameters, "\x00")))
	seal := hex.EncodeToString(sum[:6])
	start := 0
	if token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		offset, ok := strings.CutPrefix(string(raw), seal+":")
		n, parseErr := strconv.Atoi(offset)
		if err != nil || !ok || parseErr != nil || n < 0 {
			return nil, "", invalid("Invalid page token: it does not belong to this request.")
		}
		start = min(n, len(list))
	}
	end := min(start+size, len(list))
	if end < len(list) {
		next = pageToken(seal, end)
	}
	return list[start:end], next, nil
}

// total is the length of a list as total_size has it.
func total[T any](list []T) int32 {
	return int32(min(len(list), math.MaxInt32))
}

func pageToken(seal string, offset int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", seal, offset))
}
