package scc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// WriteMarks makes the change in one request that names exactly the keys of w,
// and leaves every other mark as it is. Keys are compared without regard to
// case, as Security Command Center does. A write of nothing does nothing.
//
// marks.ErrGone and marks.ErrRejected can never succeed. evidence.ErrQuota (our own budget
// or the API's), evidence.ErrDenied and every other error may succeed later.
// The change is idempotent, so that it may be repeated after any error, and is
// repeated here while ctx lasts when the API is unavailable.
func (c *Client) WriteMarks(ctx context.Context, w marks.Write) error {
	req, err := marksRequest(w)
	if err != nil {
		return fmt.Errorf("write marks of %q: %w: %w", w.Name, marks.ErrRejected, err)
	}
	if len(req.GetUpdateMask().GetPaths()) == 0 {
		return nil
	}
	for _, name := range c.scopes.order(w) {
		req.SecurityMarks.Name = name + marksSuffix
		_, err = c.api.UpdateSecurityMarks(ctx, req, upstream.Retry())
		c.scopes.learn(name, err)
		if !isLegacy(err) {
			return c.writeError(name, err)
		}
	}
	return c.writeError(w.Name, err)
}

// Ready returns why a write would be refused now without being tried: the API
// is down, or the budget is spent. It spends nothing.
func (c *Client) Ready() error {
	if err := c.writing.Ready(); err != nil {
		return err
	}
	return c.writes.Ready()
}

const marksSuffix = "/securityMarks"

// writeError says what an error of the write means for the caller.
func (c *Client) writeError(name string, err error) error {
	doing := fmt.Sprintf("write marks of %q", name)
	switch upstream.Code(err) {
	case codes.NotFound:
		return fmt.Errorf("%s: %w: %w", doing, marks.ErrGone, err)
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return fmt.Errorf("%s: %w: %w", doing, marks.ErrRejected, err)
	default:
		return c.classify(doing, c.writes, err)
	}
}

var (
	findingName = regexp.MustCompile(`^(organizations|folders|projects)/[^/\s]+/sources/[^/\s]+(/locations/[^/\s]+)?/findings/[^/\s]+$`)
	markKey     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
)

// maxValue is the longest value of a mark, in characters.
const maxValue = 4096

// marksRequest writes the request for w but for the name. Its mask has one
// path for each key, sorted, and never the path "marks", which would replace
// everybody's marks, as an empty mask does.
func marksRequest(w marks.Write) (*securitycenterpb.UpdateSecurityMarksRequest, error) {
	if !isFindingName(w.Name) {
		return nil, errors.New("not the name of a finding")
	}
	taken := map[string]bool{}
	var paths []string
	add := func(key string) (bool, error) {
		if !markKey.MatchString(key) {
			return false, fmt.Errorf("key %q is no key of a mark", key)
		}
		folded := strings.ToLower(key)
		if taken[folded] {
			return false, nil
		}
		taken[folded] = true
		paths = append(paths, "marks."+key)
		return true, nil
	}
	for _, key := range slices.Sorted(maps.Keys(w.Set)) {
		switch added, err := add(key); {
		case err != nil:
			return nil, err
		case !added:
			return nil, fmt.Errorf("key %q is set twice, in other case", key)
		}
		if v := w.Set[key]; !utf8.ValidString(v) || !validLength(v) {
			return nil, fmt.Errorf("value of %q is empty, too long or not UTF-8", key)
		}
	}
	for _, key := range slices.Sorted(slices.Values(w.Delete)) {
		if _, err := add(key); err != nil {
			return nil, err
		}
	}
	slices.Sort(paths)
	return &securitycenterpb.UpdateSecurityMarksRequest{
		SecurityMarks: &securitycenterpb.SecurityMarks{Marks: w.Set},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: paths},
	}, nil
}

func isFindingName(s string) bool { return utf8.ValidString(s) && findingName.MatchString(s) }

func validLength(v string) bool {
	n := utf8.RuneCountInString(strings.TrimSpace(v))
	return 0 < n && n <= maxValue
}
