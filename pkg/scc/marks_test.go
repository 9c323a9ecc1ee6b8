package scc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/scc-enricher/scc-enricher/pkg/evidence"
	"github.com/scc-enricher/scc-enricher/pkg/marks"
	"github.com/scc-enricher/scc-enricher/pkg/quota"
)

const (
	canonical    = "projects/123456789012/sources/5555/locations/global/findings/f1"
	organization = "organizations/42/sources/5555/locations/global/findings/f1"
)

func update(name string, marks map[string]string, paths ...string) *securitycenterpb.UpdateSecurityMarksRequest {
	return &securitycenterpb.UpdateSecurityMarksRequest{
		SecurityMarks: &securitycenterpb.SecurityMarks{Name: name + "/securityMarks", Marks: marks},
		UpdateMask:    &fieldmaskpb.FieldMask{Paths: paths},
	}
}

func TestWriteMarks(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("é", 4096)
	tests := map[string]struct {
		write marks.Write
		want  []*securitycenterpb.UpdateSecurityMarksRequest
	}{
		"set and delete name exactly their keys, sorted": {
			write: marks.Write{Name: canonical, Set: map[string]string{"enrich_verdict": "malicious", "enrich_digest": "ab"}, Delete: []string{"enrich_vt", "enrich_related"}},
			want: []*securitycenterpb.UpdateSecurityMarksRequest{update(canonical, map[string]string{"enrich_verdict": "malicious", "enrich_digest": "ab"},
				"marks.enrich_digest", "marks.enrich_related", "marks.enrich_verdict", "marks.enrich_vt")},
		},
		"delete only": {
			write: marks.Write{Name: canonical, Delete: []string{"enrich_vt"}},
			want:  []*securitycenterpb.UpdateSecurityMarksRequest{update(canonical, nil, "marks.enrich_vt")},
		},
		"no key twice, whatever its case": {
			write: marks.Write{Name: canonical, Set: map[string]string{"enrich_vt": "clean"}, Delete: []string{"Enrich_VT", "a", "A", "a"}},
			want:  []*securitycenterpb.UpdateSecurityMarksRequest{update(canonical, map[string]string{"enrich_vt": "clean"}, "marks.A", "marks.enrich_vt")},
		},
		"nothing is not written": {write: marks.Write{Name: canonical}},
		"a name without a location goes as it is": {
			write: marks.Write{Name: "folders/7/sources/5555/findings/f1", Set: map[string]string{"a-b": "x"}},
			want:  []*securitycenterpb.UpdateSecurityMarksRequest{update("folders/7/sources/5555/findings/f1", map[string]string{"a-b": "x"}, "marks.a-b")},
		},
		"4,096 characters, not bytes": {
			write: marks.Write{Name: canonical, Set: map[string]string{"a": longest}},
			want:  []*securitycenterpb.UpdateSecurityMarksRequest{update(canonical, map[string]string{"a": longest}, "marks.a")},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{}
			if err := start(t, s, nil, nil).WriteMarks(t.Context(), tc.write); err != nil {
				t.Errorf("WriteMarks() = %v", err)
			}
			if diff := cmp.Diff(tc.want, s.written(), protocmp.Transform()); diff != "" {
				t.Errorf("requests -want +got:\n%s", diff)
			}
		})
	}
}

// What can never be accepted is refused here: it costs no write, and a key that
// is no key cannot widen the mask.
func TestWriteMarksRejectsWithoutACall(t *testing.T) {
	t.Parallel()
	one := map[string]string{"a": "b"}
	tests := map[string]marks.Write{
		"no name":                     {Set: one},
		"name of a source":            {Name: "organizations/1/sources/2", Set: one},
		"name of an asset":            {Name: "organizations/1/assets/2", Set: one},
		"name with a line break":      {Name: canonical + "\n", Set: one},
		"name with a path behind":     {Name: canonical + "/securityMarks", Set: one},
		"name is not UTF-8":           {Name: canonical + "\xff", Set: one},
		"empty key would be the lot":  {Name: canonical, Set: map[string]string{"": "x"}},
		"empty key to delete":         {Name: canonical, Delete: []string{""}},
		"key with a dot":              {Name: canonical, Set: map[string]string{"a.b": "x"}},
		"key with a comma":            {Name: canonical, Delete: []string{"a,marks"}},
		"key not ASCII":               {Name: canonical, Set: map[string]string{"é": "x"}},
		"key too long":                {Name: canonical, Set: map[string]string{strings.Repeat("k", 257): "x"}},
		"keys equal but for the case": {Name: canonical, Set: map[string]string{"a": "x", "A": "y"}},
		"empty value":                 {Name: canonical, Set: map[string]string{"a": ""}},
		"blank value":                 {Name: canonical, Set: map[string]string{"a": " \t\n"}},
		"value too long":              {Name: canonical, Set: map[string]string{"a": strings.Repeat("v", 4097)}},
		"value is not UTF-8":          {Name: canonical, Set: map[string]string{"a": "\xff"}},
	}
	for name, w := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{}
			if err := start(t, s, nil, nil).WriteMarks(t.Context(), w); !errors.Is(err, marks.ErrRejected) {
				t.Errorf("WriteMarks() = %v, want ErrRejected", err)
			}
			if n := len(s.written()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

func TestWriteMarksErrors(t *testing.T) {
	t.Parallel()
	sentinels := []error{marks.ErrGone, marks.ErrRejected, evidence.ErrQuota, evidence.ErrDenied, context.DeadlineExceeded}
	always := func(c codes.Code) func(string, int) error {
		return func(string, int) error { return status.Error(c, "scripted") }
	}
	tests := map[string]struct {
		onWrite   func(string, int) error
		want      error // one of sentinels, or nil for an error that is none of them
		wantCalls int
	}{
		"not found":           {always(codes.NotFound), marks.ErrGone, 1},
		"invalid argument":    {always(codes.InvalidArgument), marks.ErrRejected, 1},
		"failed precondition": {always(codes.FailedPrecondition), marks.ErrRejected, 1},
		"permission denied":   {always(codes.PermissionDenied), evidence.ErrDenied, 1},
		"unauthenticated":     {always(codes.Unauthenticated), evidence.ErrDenied, 1},
		"over quota":          {always(codes.ResourceExhausted), evidence.ErrQuota, 1},
		"server's deadline":   {always(codes.DeadlineExceeded), context.DeadlineExceeded, 1},
		"internal":            {always(codes.Internal), nil, 1},
		"stays unavailable":   {always(codes.Unavailable), nil, 4},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{onWrite: tc.onWrite}
			// A fallback must be tried for the one documented answer only.
			err := start(t, s, nil, nil).WriteMarks(t.Context(), marks.Write{Name: canonical, Fallback: organization, Set: map[string]string{"a": "b"}})
			if err == nil {
				t.Fatal("WriteMarks() succeeded")
			}
			for _, k := range sentinels {
				if want := errors.Is(tc.want, k); errors.Is(err, k) != want {
					t.Errorf("errors.Is(%v, %v) = %v, want %v", err, k, !want, want)
				}
			}
			if got := len(s.written()); got != tc.wantCalls {
				t.Errorf("%d requests, want %d", got, tc.wantCalls)
			}
		})
	}
}

func TestWriteMarksHealsWithinTheBudget(t *testing.T) {
	t.Parallel()
	s := &server{onWrite: func(_ string, call int) error {
		if call < 3 {
			return status.Error(codes.Unavailable, "scripted")
		}
		return nil
	}}
	writes := quota.New("securitycenter", 10, 0, nil)
	c := start(t, s, nil, writes)
	if err := c.WriteMarks(t.Context(), marks.Write{Name: canonical, Set: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	if left, _ := writes.Left(); left != 7 {
		t.Errorf("%d writes left of 10 after 3 attempts, want 7", left)
	}
}

func TestWriteMarksBudgetSpent(t *testing.T) {
	t.Parallel()
	s := &server{}
	writes, reads := quota.New("securitycenter", 1, 0, nil), quota.New("securitycenter", 1, 0, nil)
	c := start(t, s, reads, writes)
	w := marks.Write{Name: canonical, Set: map[string]string{"a": "b"}}
	if err := c.WriteMarks(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	err := c.WriteMarks(t.Context(), w)
	if qe, ok := errors.AsType[*evidence.QuotaError](err); !ok || qe.Until.IsZero() {
		t.Errorf("WriteMarks() = %v, want a QuotaError with a time", err)
	}
	if got := len(s.written()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
	if left, _ := reads.Left(); left != 1 {
		t.Errorf("%d reads left of 1: writes spent them", left)
	}
}

// An answer over quota closes the budget for as long as the API asks.
func TestWriteMarksOverQuotaClosesTheBudget(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		asked, want time.Duration
	}{
		"as asked":      {30 * time.Second, 30 * time.Second},
		"not asked":     {0, 10 * time.Second},
		"at most 1 min": {time.Hour, time.Minute},
		"at least 1 s":  {time.Millisecond, time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := status.New(codes.ResourceExhausted, "Quota exceeded")
			if tc.asked > 0 {
				var err error
				if st, err = st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(tc.asked)}); err != nil {
					t.Fatal(err)
				}
			}
			s := &server{onWrite: func(string, int) error { return st.Err() }}
			c := start(t, s, nil, quota.New("securitycenter", 0, 0, nil))
			before := time.Now()
			for range 2 {
				err := c.WriteMarks(t.Context(), marks.Write{Name: canonical, Set: map[string]string{"a": "b"}})
				qe, ok := errors.AsType[*evidence.QuotaError](err)
				if !ok || qe.Until.Before(before.Add(tc.want)) || qe.Until.After(time.Now().Add(tc.want)) {
					t.Errorf("WriteMarks() = %v until %v, want a QuotaError for %v", err, qe.Until, tc.want)
				}
			}
			if got := len(s.written()); got != 1 {
				t.Errorf("%d requests, want 1: the budget was closed", got)
			}
		})
	}
}

func TestWriteMarksFallback(t *testing.T) {
	t.Parallel()
	second := func(name string) string { return strings.Replace(name, "/findings/f1", "/findings/f2", 1) }
	set := map[string]string{"a": "b"}
	tests := map[string]struct {
		readOnly  []string
		writes    []marks.Write
		wantNames []string
		wantErr   error
	}{
		"the canonical name is writable": {
			readOnly:  []string{"organizations/"},
			writes:    []marks.Write{{Name: canonical, Fallback: organization, Set: set}},
			wantNames: []string{canonical},
		},
		"the fallback is tried once, and first from then on": {
			readOnly: []string{"organizations/"},
			writes: []marks.Write{
				{Name: organization, Fallback: canonical, Set: set},
				{Name: second(organization), Fallback: second(canonical), Set: set},
			},
			wantNames: []string{organization, canonical, second(canonical)},
		},
		"another source pays for itself": {
			readOnly: []string{"organizations/"},
			writes: []marks.Write{
				{Name: organization, Fallback: canonical, Set: set},
				{Name: strings.Replace(organization, "5555", "6666", 1), Fallback: canonical, Set: set},
			},
			wantNames: []string{organization, canonical, strings.Replace(organization, "5555", "6666", 1), canonical},
		},
		"without a fallback the name is always tried": {
			readOnly: []string{"organizations/"},
			writes: []marks.Write{
				{Name: organization, Fallback: canonical, Set: set},
				{Name: second(organization), Set: set},
			},
			wantNames: []string{organization, canonical, second(organization)},
			wantErr:   marks.ErrRejected,
		},
		"no scope takes writes": {
			readOnly:  []string{"organizations/", "projects/"},
			writes:    []marks.Write{{Name: canonical, Fallback: organization, Set: set}},
			wantNames: []string{canonical, organization},
			wantErr:   marks.ErrRejected,
		},
		"the same name is not tried twice": {
			readOnly:  []string{"organizations/"},
			writes:    []marks.Write{{Name: organization, Fallback: organization, Set: set}},
			wantNames: []string{organization},
			wantErr:   marks.ErrRejected,
		},
		"a fallback that is no finding's name is not tried": {
			readOnly:  []string{"organizations/"},
			writes:    []marks.Write{{Name: organization, Fallback: "projects/1", Set: set}},
			wantNames: []string{organization},
			wantErr:   marks.ErrRejected,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{readOnly: tc.readOnly}
			c := start(t, s, nil, nil)
			var err error
			for _, w := range tc.writes {
				err = c.WriteMarks(t.Context(), w)
			}
			if !errors.Is(err, tc.wantErr) {
				t.Errorf("last WriteMarks() = %v, want %v", err, tc.wantErr)
			}
			var got []string
			for _, w := range s.written() {
				got = append(got, strings.TrimSuffix(w.GetSecurityMarks().GetName(), "/securityMarks"))
			}
			if diff := cmp.Diff(tc.wantNames, got); diff != "" {
				t.Errorf("names written -want +got:\n%s", diff)
			}
		})
	}
}

// The memory of scopes is bounded and stays right beyond its bound.
func TestWriteMarksManySources(t *testing.T) {
	t.Parallel()
	s := &server{readOnly: []string{"organizations/"}}
	c := start(t, s, nil, nil)
	for i := range 1100 {
		w := marks.Write{
			Name:     fmt.Sprintf("organizations/42/sources/%d/findings/f", i),
			Fallback: fmt.Sprintf("projects/1/sources/%d/findings/f", i),
			Set:      map[string]string{"a": "b"},
		}
		if err := c.WriteMarks(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
}

// No key, value or name reaches the API that it would refuse, and no write has
// a mask that is empty or names more than the keys given.
func FuzzWriteMarks(f *testing.F) {
	f.Add(canonical, "enrich_verdict", "malicious", "enrich_vt")
	f.Add("projects/p/sources/1/findings/f", "marks", " ", "A")
	f.Add("", "", "", "")
	f.Add(canonical, "a", "\xff", "a,b")
	c := start(f, &server{}, nil, nil)
	f.Fuzz(func(t *testing.T, name, key, value, del string) {
		err := c.WriteMarks(t.Context(), marks.Write{Name: name, Set: map[string]string{key: value}, Delete: []string{del}})
		if err != nil && !errors.Is(err, marks.ErrRejected) {
			t.Errorf("WriteMarks() = %v, want success or ErrRejected", err)
		}
	})
}
