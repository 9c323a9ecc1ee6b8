package record

import "time"

// SeenBefore says what became of the same before: earlier findings of the same
// detector on the same workload, image, parent, program and command line, apart
// from numbers and names of data files.
type SeenBefore struct {
	// Count is how many went without an incident: judged neither suspicious nor worse, or closed or muted by a person.
	Count int `json:"count"`
	// Days is on how many days that was.
	Days int `json:"days,omitempty"`
	// ClosedDays is on how many of them a person closed or muted one.
	ClosedDays int `json:"closed_days,omitempty"`
	// First is the first of their event times.
	First time.Time `json:"first,omitzero"`
	// Last is the last of their event times.
	Last time.Time `json:"last,omitzero"`
	// Attacks is how many were judged malicious or likely malicious.
	Attacks int `json:"attacks,omitempty"`
	// LastAttack is the last event time of these.
	LastAttack time.Time `json:"last_attack,omitzero"`
	// NewHost is a defanged host that the command line names and did not name before.
	NewHost string `json:"new_host,omitempty"`
	// Findings are the canonical names of some that went without an incident, the newest first.
	Findings []string `json:"findings,omitempty"`
}

func (b *builder) seenBefore() *SeenBefore {
	p := &b.in.Assessment.Precedent
	if p.Count+p.Attacks == 0 {
		return nil
	}
	return &SeenBefore{
		Count: p.Count, Days: p.Days, ClosedDays: p.Closed, First: p.First.UTC(), Last: p.Last.UTC(),
		Attacks: p.Attacks, LastAttack: p.LastAttack.UTC(), NewHost: b.defanged(p.NewHost, maxText), Findings: b.texts(p.Names, maxList, 2*maxName),
	}
}
