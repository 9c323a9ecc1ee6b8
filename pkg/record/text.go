package record

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// TextOptions say how Text renders.
type TextOptions struct {
	// Color switches ANSI colours on: for terminals, never for files or pipes.
	Color bool
	// Width is the width of a line in characters; 0 stands for 100, and less
	// than 40 for 40. Commands are never broken, so that they can be copied.
	Width int
}

// Text writes the record for a person at a terminal: the conclusion first, then
// why, what was not checked, and what to do.
func (r *Record) Text(w io.Writer, o TextOptions) error {
	p := &printer{color: o.Color, width: o.Width}
	if p.width == 0 {
		p.width = 100
	}
	p.width = max(p.width, 40)
	p.head(r)
	p.process(r)
	p.reasons(r)
	p.evidence(r)
	p.unchecked(r)
	p.incident(r)
	p.plan(r)
	_, err := io.WriteString(w, p.b.String())
	if err != nil {
		return fmt.Errorf("write record as text: %w", err)
	}
	return nil
}

// The ANSI colours in use.
const (
	bold   = "1"
	faint  = "2"
	red    = "1;31"
	yellow = "1;33"
	green  = "1;32"
	cyan   = "36"
)

// printer lays text out. Everything it is given has passed redact.
type printer struct {
	b     strings.Builder
	color bool
	width int
}

func (p *printer) paint(style, s string) string {
	if !p.color || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

func (p *printer) line(s string) {
	p.b.WriteString(strings.TrimRight(s, " "))
	p.b.WriteByte('\n')
}

func (p *printer) section(title string) {
	p.line("")
	p.line(p.paint(bold, title))
}

// wrapped writes s behind lead, its further lines indented to the same column.
func (p *printer) wrapped(lead, s, style string) {
	indent := utf8.RuneCountInString(lead)
	for i, l := range wrap(s, p.width-indent) {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		p.line(lead + p.paint(style, l))
	}
}

func (p *printer) head(r *Record) {
	a := &r.Assessment
	verdict := strings.ToUpper(strings.ReplaceAll(a.Verdict, "_", " "))
	score := fmt.Sprintf("score %d", a.Score)
	if a.OwnScore != a.Score {
		score += fmt.Sprintf(" (%d alone)", a.OwnScore)
	}
	parts := []string{p.paint(verdictStyle(a.Verdict), verdict), score}
	for _, s := range []string{a.Priority, strings.ReplaceAll(a.NextAction, "_", " ")} {
		if s != "" {
			parts = append(parts, p.paint(bold, s))
		}
	}
	p.line(strings.Join(parts, "   "))
	p.line(join(" · ", r.Finding.Category, r.Finding.Severity, stamp(r.Finding.EventTime)))
	p.line(p.paint(faint, join(" · ", r.Workload.Key, label("revision ", r.Workload.Revision), label("execution ", r.Workload.Execution), label("container ", r.Workload.Container))))
	if a.Summary != "" {
		p.line("")
		p.wrapped("", a.Summary, "")
	}
}

func verdictStyle(v string) string {
	switch v {
	case "malicious", "likely_malicious":
		return red
	case "likely_benign":
		return green
	}
	return yellow
}

func (p *printer) process(r *Record) {
	if r.Process == nil {
		return
	}
	p.section("Process")
	p.wrapped("  ", r.Process.Tree, "")
	p.wrapped("  ", r.Process.Command, cyan)
	if r.Process.Truncated {
		p.line("  " + p.paint(yellow, "the arguments were cut: the rest of the command is unknown"))
	}
	for _, b := range r.Behaviors {
		p.wrapped("  - ", join(": ", b.Name, b.Sentence), "")
	}
	for _, i := range r.Indicators {
		p.wrapped("  - "+i.Kind+" ", i.Value, "")
	}
}

func (p *printer) reasons(r *Record) {
	if len(r.Assessment.Reasons) == 0 {
		return
	}
	p.section("Why")
	source, id := 0, 0
	for _, x := range r.Assessment.Reasons {
		source, id = max(source, len(x.Source)), max(id, len(x.ID))
	}
	id = min(id, 28)
	for _, x := range r.Assessment.Reasons {
		points := fmt.Sprintf("%+4d", x.Points)
		style := red
		if x.Points <= 0 {
			style = green
		}
		lead := fmt.Sprintf("  %-*s  %-*s  ", source, x.Source, id, x.ID)
		said := x.Evidence
		if said == "" {
			said = x.Title
		}
		for i, l := range wrap(said, max(20, p.width-6-len(lead))) {
			if i == 0 {
				p.line("  " + p.paint(style, points) + lead + l)
				continue
			}
			p.line(strings.Repeat(" ", 6+len(lead)) + l)
		}
	}
}

func (p *printer) evidence(r *Record) {
	p.section("Sources")
	for _, s := range r.Sources {
		state := s.State
		if state != "ok" && state != "empty" {
			state = p.paint(yellow, state)
		}
		why := join(", ", s.Reason+s.Error, label("ask again after ", stamp(s.RetryAt)))
		p.line(fmt.Sprintf("  %-11s %s  %s", s.Name, state, p.paint(faint, join("  ", strconv.FormatInt(s.DurationMS, 10)+" ms", why))))
	}
	if len(r.Attack.Techniques) > 0 {
		p.section("ATT&CK " + r.Attack.Version)
		for _, t := range r.Attack.Techniques {
			p.line("  " + join(" ", t.ID, t.Name))
		}
	}
	if d := r.LastDeploy; d != nil {
		p.section("Last deploy")
		p.wrapped("  ", d.String(), "")
	}
	if r.Logs != nil && len(r.Logs.Excerpt) > 0 {
		p.section("Logs")
		for _, l := range r.Logs.Excerpt {
			p.wrapped("  ", l, faint)
		}
	}
	if r.Logs != nil && r.Logs.URL != "" {
		p.line("  " + r.Logs.URL)
	}
}

func (p *printer) unchecked(r *Record) {
	if len(r.Assessment.Unchecked) == 0 {
		return
	}
	p.section("Not checked")
	for _, s := range r.Assessment.Unchecked {
		p.wrapped("  - ", s, yellow)
	}
}

func (p *printer) incident(r *Record) {
	if r.Incident == nil {
		return
	}
	p.section(fmt.Sprintf("Incident %s: %d findings from %s to %s", r.Incident.ID, r.Incident.RelatedCount+1, stamp(r.Incident.Start), stamp(r.Incident.End)))
	if r.Assessment.Story != "" {
		p.wrapped("  ", r.Assessment.Story, faint)
	}
	for _, m := range r.Incident.Members {
		mark, what := " ", m.Category
		if m.Seed {
			mark = "*"
		}
		if m.Muted {
			what += " (muted)"
		}
		p.wrapped(fmt.Sprintf(" %s %s  %-8s  ", mark, m.EventTime.Format("15:04:05"), m.Severity), what, "")
	}
}

func (p *printer) plan(r *Record) {
	if len(r.Plan) == 0 {
		return
	}
	p.section("What to do")
	for i, s := range r.Plan {
		p.wrapped(fmt.Sprintf("  %2d. ", i+1), label("["+s.Phase+"] ", s.Title), bold)
		if s.Why != "" {
			p.wrapped("      ", s.Why, faint)
		}
		for l := range strings.SplitSeq(s.Command, "\n") {
			if l != "" {
				p.line("      " + p.paint(cyan, l))
			}
		}
		for _, x := range []struct{ name, said string }{{"effect: ", s.Effect}, {"undo:   ", s.Undo}, {"needs:  ", s.Permission}} {
			if x.said != "" {
				p.wrapped("      "+x.name, x.said, faint)
			}
		}
	}
}

// String says when, by whom and to which revision it was deployed.
func (d *Deploy) String() string {
	who := d.Principal
	if who == "" {
		who = "unknown"
	}
	return join(" ", d.Time.UTC().Format(time.RFC3339)+" by "+who, label("revision ", d.Revision))
}

// wrap breaks s at spaces into lines of at most width characters; a longer
// word stands alone on its line. The result has at least one line.
func wrap(s string, width int) []string {
	width = max(width, 20)
	var out []string
	var b strings.Builder
	n := 0
	for word := range strings.FieldsSeq(s) {
		k := utf8.RuneCountInString(word)
		if n > 0 && n+1+k > width {
			out = append(out, b.String())
			b.Reset()
			n = 0
		}
		if n > 0 {
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += k
	}
	return append(out, b.String())
}

// join joins what is not empty.
func join(sep string, parts ...string) string {
	kept := parts[:0:0]
	for _, s := range parts {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, sep)
}

// label puts a label before what is not empty.
func label(name, s string) string {
	if s == "" {
		return ""
	}
	return name + s
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
