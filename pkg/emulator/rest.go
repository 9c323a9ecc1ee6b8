package emulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// ServeHTTP serves gRPC, REST and the signer's keys.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		e.grpc.ServeHTTP(w, r)
	case r.URL.Path == "/oauth2/v3/certs" && e.opts.Signer != nil:
		e.opts.Signer.ServeHTTP(w, r)
	default:
		e.serveREST(w, r)
	}
}

func (e *Emulator) serveREST(w http.ResponseWriter, r *http.Request) {
	w, r = paced(w, r)
	if !stripSystemParameters(r) {
		writeError(w, &spb.Status{Code: int32(codes.InvalidArgument), Message: "Only alt=json is supported."})
		return
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		e.serveV1(w, r)
		return
	}
	out := &googleErrors{ResponseWriter: w}
	e.rest.ServeHTTP(out, r)
	out.finish()
}

// stripSystemParameters takes off the query what every Google API accepts
// (https://cloud.google.com/apis/docs/system-parameters), and moves field
// masks to a header, as they are.
func stripSystemParameters(r *http.Request) bool {
	query := r.URL.Query()
	for name, values := range query {
		switch strings.TrimLeft(name, "$") {
		case "alt":
			if values[0] != "json" {
				return false
			}
			delete(query, name)
		case "prettyPrint", "key", "quotaUser", "userIp", "fields", "access_token", "oauth_token", "callback", "uploadType", "upload_protocol", "userProject", ".xgafv":
			delete(query, name)
		}
	}
	r.Header.Del(maskHeader)
	for _, name := range []string{"updateMask", "update_mask", "fieldMask", "field_mask"} {
		if query.Has(name) {
			r.Header.Set(maskHeader, strings.Join(query[name], ","))
			query.Del(name)
		}
	}
	r.URL.RawQuery = query.Encode()
	return true
}

// googleErrors rewrites an error answer to the shape of Google's REST APIs,
// {"error": {"code": 404, "message": ..., "status": "NOT_FOUND"}}.
type googleErrors struct {
	http.ResponseWriter
	code   int
	body   bytes.Buffer
	failed bool
}

func (g *googleErrors) WriteHeader(code int) {
	g.code, g.failed = code, code >= http.StatusBadRequest
	if !g.failed {
		g.ResponseWriter.WriteHeader(code)
	}
}

func (g *googleErrors) Write(p []byte) (int, error) {
	if g.failed {
		return g.body.Write(p)
	}
	return g.ResponseWriter.Write(p)
}

// Flush lets the transcoder flush what is no error.
func (g *googleErrors) Flush() {
	if f, ok := g.ResponseWriter.(http.Flusher); ok && !g.failed {
		f.Flush()
	}
}

func (g *googleErrors) finish() {
	if !g.failed {
		return
	}
	s := &spb.Status{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(g.body.Bytes(), s); err != nil || s.GetCode() == 0 {
		s = &spb.Status{Code: int32(codes.NotFound), Message: "The requested URL was not found on this server."}
		if g.code != http.StatusNotFound {
			s = &spb.Status{Code: int32(codes.InvalidArgument), Message: strings.TrimSpace(g.body.String())}
		}
	}
	if status.FromProto(s).Code() == codes.Unknown {
		// The transcoder's own complaints: unknown parameters and JSON fields.
		s.Code = int32(codes.InvalidArgument)
	}
	h := g.Header()
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	writeError(g.ResponseWriter, s)
}

func writeError(w http.ResponseWriter, s *spb.Status) {
	c := status.FromProto(s).Code()
	code := httpCode(c)
	body := map[string]any{"code": code, "message": s.GetMessage(), "status": statusName(c)}
	var details []json.RawMessage
	for _, d := range s.GetDetails() {
		if data, err := protojson.Marshal(d); err == nil {
			details = append(details, data)
		}
	}
	if details != nil {
		body["details"] = details
	}
	writeJSON(w, code, map[string]any{"error": body})
}

// httpCode is the HTTP status of a gRPC code, as google/rpc/code.proto maps it.
func httpCode(c codes.Code) int {
	switch c {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Canceled:
		return 499
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// statusName is the name of a code in google/rpc/code.proto, "NOT_FOUND".
func statusName(c codes.Code) string {
	if c == codes.Canceled {
		return "CANCELLED"
	}
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
