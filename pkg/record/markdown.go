package record

import (
	"fmt"
	"io"
	"strings"

	"github.com/scc-enricher/scc-enricher/pkg/redact"
)

// Markdown writes the record for a ticket. Text of others is escaped: no link,
// image, mention or HTML of theirs comes to life.
func (r *Record) Markdown(w io.Writer) error {
	d := &document{}
	d.head(r)
	d.why(r)
	d.checked(r)
	d.incident(r)
	d.plan(r)
	_, err := io.WriteString(w, d.b.String())
	if err != nil {
		return fmt.Errorf("write record as Markdown: %w", err)
	}
	return nil
}

type document struct{ b strings.Builder }

func (d *document) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *document) head(r *Record) {
	a := &r.Assessment
	d.printf("# %s: %s\n\n", redact.Markdown(strings.ReplaceAll(a.Verdict, "_", " ")), redact.Markdown(r.Finding.Category))
	d.printf("**Score %d** (%d alone)", a.Score, a.OwnScore)
	for _, s := range []string{a.Priority, strings.ReplaceAll(a.NextAction, "_", " ")} {
		if s != "" {
			d.printf(", **%s**", redact.Markdown(s))
		}
	}
	d.printf("\n\n")
	if a.Summary != "" {
		d.printf("%s\n\n", redact.Markdown(a.Summary))
	}
	d.printf("| | |\n| --- | --- |\n")
	d.row("Finding", code(r.Finding.CanonicalName))
	d.row("Severity", redact.Markdown(r.Finding.Severity))
	d.row("Event", stamp(r.Finding.EventTime))
	d.row("Workload", code(r.Workload.Key))
	d.row("Revision", code(r.Workload.Revision+r.Workload.Execution))
	d.row("Container", code(r.Workload.Container))
	d.row("Image", code(r.Workload.Image))
	d.row("Service account", code(r.Workload.ServiceAccount))
	d.row("Exposure", redact.Markdown(a.Exposure))
	if r.LastDeploy != nil {
		d.row("Last deploy", redact.Markdown(r.LastDeploy.String()))
	}
	if p := r.Process; p != nil {
		d.row("Process", code(p.Tree))
		d.row("Command", code(p.Command))
	}
	for _, i := range r.Indicators {
		d.row("Indicator", redact.Markdown(i.Kind)+" "+code(i.Value))
	}
	if r.Logs != nil && r.Logs.URL != "" {
		d.row("Logs", "<"+r.Logs.URL+">")
	}
	d.printf("\n")
}

// code is a code span for a cell of a table, which a pipe would end even there.
func code(s string) string { return strings.ReplaceAll(redact.Code(s), "|", `\|`) }

// row writes a row of a table of two columns, unless value is empty.
func (d *document) row(name, value string) {
	if value != "" {
		d.printf("| %s | %s |\n", name, value)
	}
}

func (d *document) why(r *Record) {
	if len(r.Assessment.Reasons) > 0 {
		d.printf("## Why\n\n| Points | Source | Reason | Evidence |\n| ---: | --- | --- | --- |\n")
		for _, x := range r.Assessment.Reasons {
			d.printf("| %+d | %s | %s | %s |\n", x.Points, redact.Markdown(x.Source), redact.Markdown(x.ID), redact.Markdown(x.Evidence))
		}
		d.printf("\n")
	}
	if len(r.Attack.Techniques) > 0 {
		d.printf("## ATT&CK %s\n\n", redact.Markdown(r.Attack.Version))
		for _, t := range r.Attack.Techniques {
			if t.URL == "" {
				d.printf("- %s\n", redact.Markdown(t.ID))
				continue
			}
			d.printf("- [%s %s](%s)\n", redact.Markdown(t.ID), redact.Markdown(t.Name), t.URL)
		}
		d.printf("\n")
	}
	if r.Logs != nil && len(r.Logs.Excerpt) > 0 {
		d.printf("## Logs\n\n")
		for _, l := range r.Logs.Excerpt {
			d.printf("- %s\n", redact.Code(l))
		}
		d.printf("\n")
	}
}

func (d *document) checked(r *Record) {
	if len(r.Assessment.Unchecked) > 0 {
		d.printf("## Not checked\n\n")
		for _, s := range r.Assessment.Unchecked {
			d.printf("- %s\n", redact.Markdown(s))
		}
		d.printf("\n")
	}
	d.printf("## Sources\n\n| Source | State | Why |\n| --- | --- | --- |\n")
	for _, s := range r.Sources {
		d.printf("| %s | %s | %s |\n", s.Name, s.State, redact.Markdown(s.Reason+s.Error))
	}
	d.printf("\n")
}

func (d *document) incident(r *Record) {
	if r.Incident == nil {
		return
	}
	d.printf("## Incident %s\n\n", redact.Markdown(r.Incident.ID))
	if r.Assessment.Story != "" {
		d.printf("%s\n\n", redact.Markdown(r.Assessment.Story))
	}
	d.printf("| Time | Severity | Category | Same |\n| --- | --- | --- | --- |\n")
	for _, m := range r.Incident.Members {
		category := redact.Markdown(m.Category)
		if m.Seed {
			category = "**" + category + "**"
		}
		if m.Muted {
			category += " (muted)"
		}
		d.printf("| %s | %s | %s | %s |\n", stamp(m.EventTime), redact.Markdown(m.Severity), category, redact.Markdown(m.Strength))
	}
	d.printf("\n")
}

func (d *document) plan(r *Record) {
	if len(r.Plan) == 0 {
		return
	}
	d.printf("## What to do\n\nNothing of this is done automatically.\n\n")
	for i, s := range r.Plan {
		d.printf("%d. **%s**", i+1, redact.Markdown(s.Title))
		if s.Phase != "" {
			d.printf(" (%s)", redact.Markdown(s.Phase))
		}
		if s.Why != "" {
			d.printf(": %s", redact.Markdown(s.Why))
		}
		d.printf("\n")
		if s.Command != "" {
			fence := "```"
			for strings.Contains(s.Command, fence) {
				fence += "`"
			}
			d.printf("\n   %ssh\n   %s\n   %s\n\n", fence, strings.ReplaceAll(s.Command, "\n", "\n   "), fence)
		}
		for _, x := range []struct{ name, said string }{{"Effect", s.Effect}, {"Undo", s.Undo}, {"Needs", s.Permission}} {
			if x.said != "" {
				d.printf("   - %s: %s\n", x.name, redact.Markdown(x.said))
			}
		}
	}
	d.printf("\n")
}
