package emulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const sccMethods = "/google.cloud.securitycenter.v2.SecurityCenter/"

// serveV1 answers the part of Security Command Center's v1 REST API that
// gcloud uses when no location is given: listing findings and updating marks.
// The answers are those of v2 in v1's shape: names without location, flat
// resources.
func (e *Emulator) serveV1(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if mask := r.Header.Get(maskHeader); mask != "" || r.Header.Get("X-Goog-User-Project") != "" {
		md := metadata.MD{}
		if mask != "" {
			md.Set(maskHeader, mask)
		}
		if p := r.Header.Get("X-Goog-User-Project"); p != "" {
			md.Set("x-goog-user-project", p)
		}
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	var resp proto.Message
	var err error
	parent, isList := strings.CutSuffix(name, "/findings")
	switch {
	case isList && r.Method == http.MethodGet:
		resp, err = e.listV1(ctx, parent, r)
	case strings.HasSuffix(name, "/securityMarks") && r.Method == http.MethodPatch:
		resp, err = e.marksV1(ctx, name, r)
	default:
		writeError(w, status.New(codes.NotFound, "Only findings and securityMarks of v1 are emulated.").Proto())
		return
	}
	if err != nil {
		writeError(w, status.Convert(err).Proto())
		return
	}
	data, err := protojson.Marshal(resp)
	if err == nil {
		data, err = toV1(data)
	}
	if err != nil {
		writeError(w, status.Convert(err).Proto())
		return
	}
	jsonHeader(w)
	_, _ = w.Write(data) //nolint:gosec // G705: JSON that no browser takes for HTML; a lost client needs nothing
}

func (e *Emulator) listV1(ctx context.Context, parent string, r *http.Request) (proto.Message, error) {
	q := r.URL.Query()
	req := &securitycenterpb.ListFindingsRequest{Parent: parent, Filter: q.Get("filter"), OrderBy: q.Get("orderBy"), PageToken: q.Get("pageToken")}
	if s := q.Get("pageSize"); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, invalid("Invalid value at 'page_size': %.40q", s)
		}
		req.PageSize = int32(n)
	}
	resp, err := e.call(ctx, sccMethods+"ListFindings", req, func(ctx context.Context, req any) (any, error) {
		return e.scc.ListFindings(ctx, req.(*securitycenterpb.ListFindingsRequest))
	})
	if err != nil {
		return nil, err
	}
	return resp.(proto.Message), nil
}

func (e *Emulator) marksV1(ctx context.Context, name string, r *http.Request) (proto.Message, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, invalid("Cannot read the body: %v", err)
	}
	marks := &securitycenterpb.SecurityMarks{}
	if err := protojson.Unmarshal(body, marks); err != nil {
		return nil, invalid("Invalid JSON payload received: %v", err)
	}
	marks.Name = name
	resp, err := e.call(ctx, sccMethods+"UpdateSecurityMarks", &securitycenterpb.UpdateSecurityMarksRequest{SecurityMarks: marks}, func(ctx context.Context, req any) (any, error) {
		return e.scc.UpdateSecurityMarks(ctx, req.(*securitycenterpb.UpdateSecurityMarksRequest))
	})
	if err != nil {
		return nil, err
	}
	return resp.(proto.Message), nil
}

// locationInName is the location of a source's or finding's name.
func locationInName() *regexp.Regexp {
	return regexp.MustCompile(`^((?:projects|folders|organizations)/[^/]+/sources/[^/]+)/locations/[^/]+`)
}

// toV1 changes a v2 answer to v1's shape.
func toV1(data []byte) ([]byte, error) {
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	location := locationInName()
	shorten := func(m map[string]any) {
		for _, field := range []string{"name", "canonicalName", "parent"} {
			if s, ok := m[field].(string); ok {
				m[field] = location.ReplaceAllString(s, "$1")
			}
		}
	}
	shorten(v)
	results, _ := v["listFindingsResults"].([]any)
	for _, r := range results {
		result, _ := r.(map[string]any)
		if finding, ok := result["finding"].(map[string]any); ok {
			shorten(finding)
			if marks, ok := finding["securityMarks"].(map[string]any); ok {
				shorten(marks)
			}
		}
		if resource, ok := result["resource"].(map[string]any); ok {
			flatten(resource)
		}
	}
	return json.Marshal(v)
}

// flatten spreads gcpMetadata as v1's ListFindings does.
func flatten(resource map[string]any) {
	gcp, _ := resource["gcpMetadata"].(map[string]any)
	delete(resource, "gcpMetadata")
	for from, to := range map[string]string{
		"project": "projectName", "projectDisplayName": "projectDisplayName", "parent": "parentName",
		"parentDisplayName": "parentDisplayName", "folders": "folders", "organization": "organization",
	} {
		if v, ok := gcp[from]; ok {
			resource[to] = v
		}
	}
}
