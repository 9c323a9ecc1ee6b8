package emulator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// legacyMessage is what the service answers to a write at a scope above the
// project where it is activated for the project only.
const legacyMessage = "Security Command Center Legacy has been permanently disabled as of June 7, 2021."

// writable finds the finding that a write names, at a scope that may write it.
func (s *sccService) writable(name, permission string) (findingKey, error) {
	n, err := parseFinding(name)
	if err != nil {
		return findingKey{}, invalid("Request contains an invalid argument: %v.", err)
	}
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.known(n.scope) {
		return findingKey{}, denied(permission, n.scope)
	}
	if !s.legacy && n.scope.kind != "projects" {
		return findingKey{}, invalid("%s", legacyMessage)
	}
	f := w.byKey[n.key]
	if f == nil || !f.project.in(n.scope) {
		return findingKey{}, status.Errorf(codes.NotFound, "Requested entity was not found: %s", name)
	}
	return n.key, nil
}

// UpdateSecurityMarks follows security_marks.proto: keys and values ignore
// case, an empty mask or "marks" replaces all marks, a key in the mask without
// a value is deleted, and a key outside the mask is ignored.
func (s *sccService) UpdateSecurityMarks(_ context.Context, req *securitycenterpb.UpdateSecurityMarksRequest) (*securitycenterpb.SecurityMarks, error) {
	name, ok := strings.CutSuffix(req.GetSecurityMarks().GetName(), "/securityMarks")
	if !ok {
		return nil, invalid("Security marks name %.200q does not match a finding.", req.GetSecurityMarks().GetName())
	}
	key, err := s.writable(name, "securitycenter.findingsecuritymarks.update")
	if err != nil {
		return nil, err
	}
	values, err := checkMarks(req.GetSecurityMarks().GetMarks())
	if err != nil {
		return nil, err
	}
	masked, all, err := checkMask(req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	f, err := s.world.change(key, func(f *securitycenterpb.Finding) {
		f.SecurityMarks.Marks = apply(f.GetSecurityMarks().GetMarks(), values, masked, all)
	})
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return proto.CloneOf(f.GetSecurityMarks()), nil
}

// apply gives the marks after a write; old is not changed.
func apply(old, values map[string]string, masked []string, all bool) map[string]string {
	if all {
		return values
	}
	out := maps.Clone(old)
	if out == nil {
		out = map[string]string{}
	}
	for _, key := range masked {
		maps.DeleteFunc(out, func(k, _ string) bool { return strings.EqualFold(k, key) })
		for k, v := range values {
			if strings.EqualFold(k, key) {
				out[k] = v
			}
		}
	}
	return out
}

// checkMarks trims the values and refuses what security_marks.proto refuses.
func checkMarks(marks map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(marks))
	seen := make(map[string]bool, len(marks))
	for _, key := range slices.Sorted(maps.Keys(marks)) {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		low := strings.ToLower(key)
		if seen[low] {
			return nil, invalid("Duplicate security mark key %q: keys are case insensitive.", key)
		}
		seen[low] = true
		value := strings.TrimSpace(marks[key])
		if n := utf8.RuneCountInString(value); n < 1 || n > 4096 {
			return nil, invalid("Value of security mark %q has %d characters: it must have between 1 and 4096.", key, n)
		}
		out[key] = value
	}
	return out, nil
}

func checkKey(key string) error {
	ok := len(key) >= 1 && len(key) <= 256
	for _, c := range []byte(key) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
	}
	if !ok {
		return invalid("Invalid security mark key %.300q: keys have 1 to 256 letters, numbers, underscores or dashes.", key)
	}
	return nil
}

// checkMask gives the keys that a mask names, or all.
func checkMask(paths []string) (keys []string, all bool, err error) {
	seen := make(map[string]bool, len(paths))
	for _, path := range paths {
		low := strings.ToLower(path)
		if seen[low] {
			return nil, false, invalid("Duplicate field %.300q in update_mask.", path)
		}
		seen[low] = true
		key, isKey := strings.CutPrefix(path, "marks.")
		switch {
		case path == "marks":
			all = true
		case !isKey:
			return nil, false, invalid("Invalid field %.300q in update_mask.", path)
		default:
			if err := checkKey(key); err != nil {
				return nil, false, err
			}
			keys = append(keys, key)
		}
	}
	return keys, all || len(paths) == 0, nil
}

// SetMute sets the static mute state. Event time and state stay.
func (s *sccService) SetMute(_ context.Context, req *securitycenterpb.SetMuteRequest) (*securitycenterpb.Finding, error) {
	switch req.GetMute() {
	case securitycenterpb.Finding_MUTED, securitycenterpb.Finding_UNMUTED, securitycenterpb.Finding_UNDEFINED:
	default:
		return nil, invalid("Invalid mute state %v.", req.GetMute())
	}
	return s.write(req.GetName(), "securitycenter.findings.setMute", func(f *securitycenterpb.Finding) {
		f.Mute = req.GetMute()
		f.MuteUpdateTime = timestamppb.New(s.world.now())
		f.MuteInitiator = "Muted through the emulator"
	})
}

// SetFindingState sets the state. As the proto says of event_time, an update
// moves it.
func (s *sccService) SetFindingState(_ context.Context, req *securitycenterpb.SetFindingStateRequest) (*securitycenterpb.Finding, error) {
	switch req.GetState() {
	case securitycenterpb.Finding_ACTIVE, securitycenterpb.Finding_INACTIVE:
	default:
		return nil, invalid("Invalid state %v.", req.GetState())
	}
	return s.write(req.GetName(), "securitycenter.findings.setState", func(f *securitycenterpb.Finding) {
		f.State = req.GetState()
		f.EventTime = timestamppb.New(s.world.now())
	})
}

func (s *sccService) write(name, permission string, edit func(*securitycenterpb.Finding)) (*securitycenterpb.Finding, error) {
	key, err := s.writable(name, permission)
	if err != nil {
		return nil, err
	}
	f, err := s.world.change(key, edit)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return f, nil
}

// ListSources lists the sources that have published findings.
func (s *sccService) ListSources(_ context.Context, req *securitycenterpb.ListSourcesRequest) (*securitycenterpb.ListSourcesResponse, error) {
	size, err := pageSize(req.GetPageSize(), 10, 1000)
	if err != nil {
		return nil, err
	}
	kind, id, _ := strings.Cut(req.GetParent(), "/")
	at := scope{kind: kind, id: id}
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.known(at) {
		return nil, denied("securitycenter.sources.list", at)
	}
	ids, next, err := page(slices.Sorted(maps.Keys(w.sources)), size, req.GetPageToken(), req.GetParent())
	if err != nil {
		return nil, err
	}
	resp := &securitycenterpb.ListSourcesResponse{NextPageToken: next}
	for _, id := range ids {
		resp.Sources = append(resp.Sources, &securitycenterpb.Source{Name: fmt.Sprintf("%s/sources/%s", at, id), DisplayName: w.sources[id]})
	}
	return resp, nil
}
