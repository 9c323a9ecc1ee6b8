package evidence

import "time"

// Working hours, in which a deploy is nothing to remark on: Monday to Friday
// from 06:00 to 20:00.
const (
	workBegins = 6
	workEnds   = 20
)

// OffHours reports whether a time is at night (20:00 to 06:00) or at a weekend
// in the zone; nil is UTC. It is a weak hint: pipelines deploy at night, and
// teams sit in several zones.
func OffHours(t time.Time, zone *time.Location) bool {
	if t.IsZero() {
		return false
	}
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		return true
	}
	return t.Hour() < workBegins || t.Hour() >= workEnds
}

// offHoursDeploys returns those of the deploys that were out of hours.
func offHoursDeploys(l Logs, deploys []int) []int {
	var out []int
	for _, i := range deploys {
		if OffHours(l.Entries[i].Time, l.Zone) {
			out = append(out, i)
		}
	}
	return out
}

// A burst is burstErrors errors within burstWindow.
const (
	burstErrors = 10
	burstWindow = time.Minute
)

// errorBurst returns the errors of the minute that has most of them, the
// earliest of several, if these are a burst. errors are indexes in order of time.
func errorBurst(l Logs, errors []int) []int {
	var best []int
	from := 0
	for to := range errors {
		for l.Entries[errors[to]].Time.Sub(l.Entries[errors[from]].Time) > burstWindow {
			from++
		}
		if to+1-from > len(best) {
			best = errors[from : to+1]
		}
	}
	if len(best) < burstErrors {
		return nil
	}
	return best
}
