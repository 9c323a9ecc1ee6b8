package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// result is one finding of the story at the end, as JSON and as text.
type result struct {
	Finding  string `json:"finding"`
	Category string `json:"category"`
	Workload string `json:"workload"`
	Expected string `json:"expected"`
	Verdict  string `json:"verdict"`
	OK       bool   `json:"ok"`
	Score    string `json:"score"`
	// OnArrival is what was known when the finding arrived.
	OnArrival arrival  `json:"on_arrival"`
	Reasons   []string `json:"reasons"`
	// NotChecked says in words which evidence is missing, and why.
	NotChecked []string          `json:"not_checked"`
	NextAction string            `json:"next_action"`
	NextStep   string            `json:"next_step"`
	Marks      map[string]string `json:"marks"`
}

// arrival is what a finding's first record said.
type arrival struct {
	Verdict    string `json:"verdict"`
	Score      int    `json:"score"`
	Priority   string `json:"priority"`
	NextAction string `json:"next_action"`
	Related    int    `json:"related"`
}

// results reads the marks back from the emulated Security Command Center.
func (s *stage) results() []result {
	var out []result
	for _, step := range s.story.Steps {
		name := step.Finding.GetCanonicalName()
		marks := s.world.Marks(name)
		r := result{
			Finding: name, Category: step.Finding.GetCategory(), Marks: marks, Expected: s.story.Expect[name],
			Workload: marks["enrich_workload"], Verdict: marks["enrich_verdict"], Score: marks["enrich_score"], NextAction: marks["enrich_next_action"],
		}
		r.OK = r.Verdict == r.Expected && r.Verdict != ""
		first, rec := s.records.get(name)
		if rec != nil {
			a := &first.Assessment
			r.OnArrival = arrival{Verdict: a.Verdict, Score: a.Score, Priority: a.Priority, NextAction: a.NextAction}
			if first.Incident != nil {
				r.OnArrival.Related = first.Incident.RelatedCount
			}
			r.NotChecked = rec.Assessment.Unchecked
			for _, reason := range rec.Assessment.Reasons {
				r.Reasons = append(r.Reasons, fmt.Sprintf("%+4d  %s: %s", reason.Points, reason.ID, reason.Evidence))
			}
			if len(rec.Plan) > 0 {
				r.NextStep = rec.Plan[0].Title
				if rec.Plan[0].Command != "" {
					r.NextStep += "\n" + rec.Plan[0].Command
				}
			}
		}
		out = append(out, r)
	}
	return out
}

// wrong is an error that names every verdict that is not the expected one.
func wrong(results []result) error {
	var bad []string
	for _, r := range results {
		if !r.OK {
			bad = append(bad, fmt.Sprintf("%s: %s is %q, expected %q", r.Workload, r.Category, r.Verdict, r.Expected))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d verdicts are not the expected ones:\n  %s", len(bad), len(results), strings.Join(bad, "\n  "))
}

// print shows the results.
func (d *demoCmd) print(std streams, st *stage, results []result, took time.Duration) error {
	if d.Output == "json" {
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(map[string]any{"story": st.story.Name, "title": st.story.Title, "findings": results})
	}
	p := &page{w: std.out, screen: terminal(std.out)}
	p.line("")
	p.line(p.bold(st.story.Title))
	for _, workload := range workloads(results) {
		p.workload(workload, results)
	}
	stats := st.pusher.Stats()
	p.line("")
	p.line(p.dim(strings.Repeat("─", p.Width)))
	p.line(fmt.Sprintf("%d findings, %d pushes delivered (our own mark writes come back as pushes), %d acknowledged, %d not, in %s",
		len(results), stats.Delivered, stats.Acked, stats.Nacked, took.Round(time.Millisecond)))
	return p.err
}

// workloads are the workloads of the results, each once, in order of appearance.
func workloads(results []result) []string {
	var out []string
	for _, r := range results {
		if !slices.Contains(out, r.Workload) {
			out = append(out, r.Workload)
		}
	}
	return out
}

// workload prints the findings of one workload, numbered as they arrived.
func (p *page) workload(name string, results []result) {
	p.line("")
	p.line(p.dim(strings.Repeat("─", p.Width)))
	p.line(p.bold(name))
	p.incidents(name, results)
	header := false
	for i, r := range results {
		if r.Workload != name {
			continue
		}
		if !header {
			p.header(r)
			header = true
		}
		p.result(i+1, r)
	}
}

// incidents prints what each finding of an incident knew when it came, and that
// at rest all of them say the same.
func (p *page) incidents(workload string, results []result) {
	members := map[string][]int{}
	var ids []string
	for i, r := range results {
		id := r.Marks["enrich_incident"]
		if r.Workload != workload || id == "" {
			continue
		}
		if members[id] == nil {
			ids = append(ids, id)
		}
		members[id] = append(members[id], i)
	}
	for _, id := range ids {
		p.field("incident", fmt.Sprintf("%s, %d findings. What each said when it came, and what all say at rest:", id, len(members[id])))
		for _, i := range members[id] {
			r, now := &results[i], &results[members[id][0]]
			verdict := "the same"
			if r.OnArrival.Verdict != r.Verdict || fmt.Sprintf("%03d", r.OnArrival.Score) != r.Score {
				verdict = p.verdict(r.Verdict) + " " + r.Score
			}
			if r.Verdict != now.Verdict || r.Score != now.Score || r.NextAction != now.NextAction {
				verdict += "  " + p.paint("1;31", "NOT AS THE OTHERS")
			}
			p.line(fmt.Sprintf("   %*s %d  %s → %s  %s", indent-4, "", i+1, p.verdict(r.OnArrival.Verdict)+fmt.Sprintf(" %03d, %d related", r.OnArrival.Score, r.OnArrival.Related), verdict, p.dim(r.Category)))
		}
	}
}

// page lays text out for a screen and keeps the first error.
type page struct {
	screen
	w   io.Writer
	err error
}

func (p *page) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

func (p *page) paint(code, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *page) bold(s string) string { return p.paint("1", s) }
func (p *page) dim(s string) string  { return p.paint("2", s) }

// verdict is a verdict in its colour.
func (p *page) verdict(v string) string {
	switch v {
	case "malicious":
		return p.paint("1;31", v)
	case "likely_malicious":
		return p.paint("31", v)
	case "suspicious":
		return p.paint("33", v)
	case "likely_benign":
		return p.paint("32", v)
	}
	return p.paint("36", v)
}

// header prints what is the same for every finding of a workload.
func (p *page) header(r result) {
	m := r.Marks
	p.field("exposure", m["enrich_exposure"])
	p.field("identity", m["enrich_service_account"])
	p.field("risks", m["enrich_config_risks"])
	p.field("deployed", m["enrich_last_deploy"])
}

// result prints one finding.
func (p *page) result(n int, r result) {
	m := r.Marks
	p.line("")
	p.line(p.bold(fmt.Sprintf("%d  %s", n, r.Category)) + "  " + p.dim(m["enrich_event_time"]))
	status := "as expected"
	if !r.OK {
		status = p.paint("1;31", "EXPECTED "+r.Expected)
	}
	p.line(fmt.Sprintf("   %s  score %s (alone %s)  %s  next: %s  [%s]", p.verdict(r.Verdict), m["enrich_score"], m["enrich_own_score"], m["enrich_priority"], r.NextAction, status))
	p.field("on arrival", fmt.Sprintf("%s  score %03d  %s  next: %s  %d related", r.OnArrival.Verdict, r.OnArrival.Score, r.OnArrival.Priority, r.OnArrival.NextAction, r.OnArrival.Related))
	p.field("summary", m["enrich_summary"])
	p.field("process", m["enrich_process"])
	p.field("command", m["enrich_command"])
	p.field("attack", strings.Trim(m["enrich_tactics"]+" "+m["enrich_techniques"], " "))
	p.field("virustotal", m["enrich_vt"])
	if m["enrich_incident"] != "" {
		p.field("incident", m["enrich_incident"]+" with "+m["enrich_related_count"]+" other(s): "+m["enrich_related"])
	}
	p.field("sources", m["enrich_sources"])
	p.list("reasons", r.Reasons)
	p.list("not checked", r.NotChecked)
	p.field("next step", r.NextStep)
}

// indent is the width of the column of labels.
const indent = 16

// field prints a labelled text, wrapped to the screen.
func (p *page) field(label, text string) {
	if text == "" {
		return
	}
	for _, line := range strings.Split(text, "\n") {
		for _, part := range wrap(line, p.Width-indent) {
			p.line(fmt.Sprintf("   %s %s", p.dim(fmt.Sprintf("%-*s", indent-4, label)), part))
			label = ""
		}
	}
}

func (p *page) list(label string, items []string) {
	for _, item := range items {
		p.field(label, item)
		label = ""
	}
}

// wrap breaks a line at spaces; a word longer than the width stays whole, so
// that a command can be copied.
func wrap(s string, width int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			out = append(out, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(out, line)
}
