package evidence

import "time"

// Artifact is something whose reputation can be asked.
type Artifact struct {
	// Kind is "file", "domain", "ip" or "url".
	Kind string
	// Value is the SHA-256 in lower-case hex, or the indicator.
	Value string
	// Role says where it comes from: "binary", "library", "script", "file" or "argument".
	Role string
	// Path is the file's path, or empty.
	Path string
}

// Verdict of a reputation source on an artifact.
type Verdict string

// The closed set of reputation verdicts.
const (
	VerdictMalicious  Verdict = "malicious"
	VerdictSuspicious Verdict = "suspicious"
	VerdictClean      Verdict = "clean"
	VerdictNotFound   Verdict = "not_found"
)

// Reputation is what VirusTotal says of one artifact.
type Reputation struct {
	Artifact Artifact
	// State is the state of this very lookup; Verdict is set only for OK and Empty.
	State   State
	Verdict Verdict
	// Malicious engines of Engines that answered.
	Malicious  int
	Suspicious int
	Engines    int
	// Label is the suggested threat label, "trojan.mirai/gafgyt", or empty.
	Label string
	// Names are at most 5 names the artifact is known by.
	Names        []string
	Type         string
	FirstSeen    time.Time
	LastAnalysis time.Time
	// URL is the page of the artifact in VirusTotal's GUI.
	URL string
	// AskedAt is when VirusTotal answered: older than now when cached.
	AskedAt time.Time
	// Reason says why State is not OK.
	Reason string
}
