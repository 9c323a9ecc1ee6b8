package evidence

import (
	"net/http"
	"path"
	"strings"
)

// uploadedScripts returns the requests for server-side code that somebody has
// uploaded before: for a script below a folder of uploads after an upload, or
// for the very path that was written. A script that the service had all along
// answers without an upload; but one among what others have stored that is
// posted to is a web shell, whenever it came. Where a POST may as well be what
// wrote the script, it is an upload.
func uploadedScripts(l Logs) []int {
	var out []int
	fromApp := !hasRequests(l)
	uploaded := false
	written := map[string]bool{}
	for i := range l.Entries {
		r := l.Entries[i].Request
		if r == nil || (l.Entries[i].Kind != LogRequest && !fromApp) {
			continue
		}
		p, _, _ := strings.Cut(decode(stripOrigin(bound(r.URL))), "?")
		refused := r.Status >= 300 && r.Status < 500
		if (written[p] || uploaded && inUploads(p) || r.Method == http.MethodPost && !uploads(r) && stored(p)) && isScript(p) && !refused && r.Method != http.MethodPut {
			out = append(out, i)
			continue
		}
		if uploads(r) {
			uploaded = true
			written[p] = r.Method != http.MethodPost
		}
	}
	return out
}

// isScript reports whether a path ends like code that a server runs.
func isScript(p string) bool {
	switch path.Ext(p) {
	case ".jsp", ".jspx", ".php", ".php5", ".php7", ".phtml", ".phar", ".asp", ".aspx", ".ashx", ".cgi", ".pl", ".py", ".sh", ".cfm":
		return true
	}
	return false
}

// inUploads reports whether a path lies below a folder that holds what others
// have sent.
func inUploads(p string) bool {
	for seg := range strings.SplitSeq(path.Dir(p), "/") {
		switch seg {
		case "upload", "uploads", "uploaded", "files", "file", "media", "attachments", "images", "img", "tmp", "temp", "avatars", "userfiles", "documents":
			return true
		}
	}
	return false
}

// stored reports whether a path lies below a folder that holds nothing but what
// others have sent, and is not named like the page that takes it.
func stored(p string) bool {
	name := strings.TrimSuffix(path.Base(p), path.Ext(p))
	for _, own := range []string{
		"upload", "save", "store", "add", "new", "create", "edit", "update", "delete", "remove", "list", "get", "view", "show",
		"download", "import", "export", "index", "default", "main", "handle", "process", "ajax", "api", "action", "connector", "file", "media", "image",
	} {
		if strings.Contains(name, own) {
			return false
		}
	}
	for seg := range strings.SplitSeq(path.Dir(p), "/") {
		switch seg {
		case "uploads", "uploaded", "attachments", "avatars", "userfiles":
			return true
		}
	}
	return false
}
