package emulator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// VirusTotal answers GET /api/v3/{files,domains,ip_addresses,urls}/{id} as
// https://docs.virustotal.com/reference/overview documents: a key in x-apikey,
// JSON errors with a code, and quotas per minute and per UTC day.
func (e *Emulator) VirusTotal() http.Handler { return http.HandlerFunc(e.serveVirusTotal) }

func (e *Emulator) serveVirusTotal(w http.ResponseWriter, r *http.Request) {
	collection, id, ok := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3/"), "/")
	known := slices.Contains([]string{"files", "domains", "ip_addresses", "urls"}, collection)
	if !ok || !known || id == "" || strings.Contains(id, "/") || !strings.HasPrefix(r.URL.Path, "/api/v3/") {
		vtError(w, http.StatusNotFound, "NotFoundError", "Resource not found.")
		return
	}
	c := e.recorder.begin(Call{Method: "virustotal/" + collection, Path: r.URL.Path, Time: e.now()})
	w, r = paced(w, r)
	if err := e.vtFault(r.Context(), c); err != nil {
		e.finish(c, status.Code(err))
		vtFailure(w, err)
		return
	}
	// The outcome is recorded before the last of the body is sent.
	answer := &held{ResponseWriter: w}
	e.finish(c, e.lookup(answer, r, collection, id))
	answer.release()
}

func (e *Emulator) vtFault(ctx context.Context, c *Call) error {
	if e.opts.Intercept != nil {
		if err := e.opts.Intercept(ctx, *c); err != nil {
			return err
		}
	}
	_, err := e.injector.befall(ctx, c)
	return err
}

// vtFailure answers a call that was made to fail, in VirusTotal's shape
// (https://docs.virustotal.com/reference/errors).
func vtFailure(w http.ResponseWriter, err error) {
	s := status.Convert(err)
	name, code := "TransientError", httpCode(s.Code())
	switch s.Code() {
	case codes.ResourceExhausted:
		name = "QuotaExceededError"
	case codes.PermissionDenied:
		name = "ForbiddenError"
	case codes.Unauthenticated:
		name = "WrongCredentialsError"
	case codes.NotFound:
		name = "NotFoundError"
	case codes.InvalidArgument:
		name = "InvalidArgumentError"
	case codes.DeadlineExceeded:
		name = "DeadlineExceededError"
	default:
		code = http.StatusServiceUnavailable
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(info.GetRetryDelay().GetSeconds())))
		}
	}
	vtError(w, code, name, s.Message())
}

func (e *Emulator) lookup(w http.ResponseWriter, r *http.Request, collection, id string) codes.Code {
	switch key := r.Header.Get("x-apikey"); {
	case r.Method != http.MethodGet:
		vtError(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "Only lookups are emulated.")
		return codes.Unimplemented
	case key == "":
		vtError(w, http.StatusUnauthorized, "AuthenticationRequiredError", "X-Apikey header is missing")
		return codes.Unauthenticated
	case e.opts.VirusTotalKey != "" && key != e.opts.VirusTotalKey:
		vtError(w, http.StatusUnauthorized, "WrongCredentialsError", "Wrong API key")
		return codes.Unauthenticated
	}
	switch e.limits.spendVirusTotal() {
	case "minute":
		vtError(w, http.StatusTooManyRequests, "QuotaExceededError", "Quota exceeded: requests per minute")
		return codes.ResourceExhausted
	case "day":
		vtError(w, http.StatusTooManyRequests, "QuotaExceededError", "Quota exceeded: daily quota, resets at 00:00 UTC")
		return codes.ResourceExhausted
	}
	key, ok := reputationKey(collection, id)
	if !ok {
		vtError(w, http.StatusBadRequest, "InvalidArgumentError", "Invalid identifier")
		return codes.InvalidArgument
	}
	e.mu.RLock()
	attributes, found := e.reputations[collection+"/"+key]
	e.mu.RUnlock()
	if !found {
		vtError(w, http.StatusNotFound, "NotFoundError", collection+" \""+key+"\" not found")
		return codes.NotFound
	}
	object := strings.TrimSuffix(strings.TrimSuffix(collection, "es"), "s")
	switch collection {
	case "files":
		object = "file"
	case "ip_addresses":
		object = "ip_address"
	}
	data := map[string]any{"type": object, "id": key, "attributes": attributes,
		"links": map[string]string{"self": "https://www.virustotal.com/api/v3/" + collection + "/" + key}}
	writeJSON(w, http.StatusOK, map[string]any{"data": data})
	return codes.OK
}

// reputationKey checks an identifier of a request path and gives the key it is
// stored under. URLs are asked by SHA-256 or by unpadded base64url of the URL.
func reputationKey(collection, escaped string) (string, bool) {
	id, err := url.PathUnescape(escaped)
	if err != nil {
		return "", false
	}
	if collection == "files" {
		raw, err := hex.DecodeString(id)
		return strings.ToLower(id), err == nil && slices.Contains([]int{16, 20, 32}, len(raw))
	}
	if collection != "urls" {
		return strings.ToLower(id), true
	}
	if raw, err := hex.DecodeString(id); err == nil && len(raw) == sha256.Size {
		return strings.ToLower(id), true
	}
	raw, err := base64.RawURLEncoding.DecodeString(id)
	return urlID(string(raw)), err == nil
}

// urlID is the SHA-256 under which a URL is known. The service canonises the
// URL first; here only an empty path becomes "/".
func urlID(u string) string {
	if p, err := url.Parse(u); err == nil && p.Host != "" && p.Path == "" {
		p.Path = "/"
		u = p.String()
	}
	sum := sha256.Sum256([]byte(u))
	return hex.EncodeToString(sum[:])
}

func vtError(w http.ResponseWriter, code int, name, message string) {
	writeJSON(w, code, map[string]any{"error": map[string]string{"code": name, "message": message}})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	jsonHeader(w)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone, or nothing to be done
}

// jsonHeader says that the body is JSON and must not be taken for anything else.
func jsonHeader(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
