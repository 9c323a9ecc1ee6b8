package evidence

// Signal is something telling that was seen in the logs. The set is closed.
type Signal struct {
	// Kind is the signal's name, "http_5xx".
	Kind string
	// Count is how many entries show it.
	Count int
	// Entries index Logs.Entries, at most 5.
	Entries []int
}
