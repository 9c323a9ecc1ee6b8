package command

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/behaviors.md")

func document() string {
	var b strings.Builder
	b.WriteString(`# Behaviours

What a command line can be said to do. The set is closed; it is generated from
` + "`pkg/command/behaviors.go`" + ` by ` + "`go test ./pkg/command -run Documented -update`" + `.

The class is the usual weight; one occurrence may weigh more or less (a lone
` + "`id`" + ` is neutral, a chain of such commands suspicious). A command line weighs as
much as its heaviest behaviour. Benign behaviours explain a command, they never
take another one away.

| behaviour | what it says | ATT&CK | class |
| --- | --- | --- | --- |
`)
	for _, x := range All() {
		var links []string
		for _, t := range x.Techniques() {
			links = append(links, fmt.Sprintf("[%s](https://attack.mitre.org/techniques/%s/)", t, strings.ReplaceAll(t, ".", "/")))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", x, x.Sentence(), strings.Join(links, ", "), x.Class())
	}
	b.WriteString(measured)
	return b.String()
}

// measured are the figures of the day; each stands with the command that prints it.
const measured = `
## How well it reads

Lines that the rules were not made for, 500 each, half of them malicious, written
by another hand. The rules were frozen when a set was measured, and learned from
the set only afterwards; nobody who writes rules has read a line of the last one.
Recall is how many malicious lines are called suspicious or malicious, alarm how
many benign ones.

| set | measured | recall | alarm |
| --- | --- | --- | --- |
| first | 2026-11-23 | 94.7 % | 2.4 % |
| second | 2026-11-23 | 85.2 % | 1.6 % |
| third | 2026-11-23 | 83.4 % | 2.4 % |
| fourth | 2026-11-23 | 95.1 % | 3.6 % |
| fifth, kept as ` + "`testdata/unseen.ndjson`" + ` | 2026-11-23 | 94.6 % | 3.2 % |

    go test ./pkg/command -run TestCorpusUnseen -v

So about one unseen malicious line in eighteen is called neutral or explained away,
and about one benign line in thirty is called suspicious or worse: a reading that
finds nothing is no proof that there is nothing. The aim, 97 % at no more than 3 %,
is not reached. The sets differ much in what they ask; the second and the third ask
more of cloud clients, of code given to interpreters and of settings than the first.
The first four are in ` + "`testdata/corpus.ndjson`" + ` now; of a line of the fourth and the
third only those labels of behaviours are kept there that the reader gives, its
class is held as it was written.

How long one read takes at worst and for typical lines, in time of an idle machine:

    go test ./pkg/command -run xxx -bench 'ReadHostile|ReadTypical' -benchtime 10x
`

// TestBehaviorsDocumented holds the page to the table.
func TestBehaviorsDocumented(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "behaviors.md")
	if *update {
		if err := os.WriteFile(name, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(document(), string(got)); diff != "" {
		t.Errorf("docs/behaviors.md is not what the code says; run with -update (-want +got):\n%s", diff)
	}
}

func TestBehaviors(t *testing.T) {
	t.Parallel()
	id := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	for i, b := range All() {
		if b.rank() != i {
			t.Errorf("%s has rank %d, want %d", b, b.rank(), i)
		}
		if s := b.Sentence(); !strings.HasSuffix(s, ".") || len(s) > 120 {
			t.Errorf("%s: sentence %q", b, s)
		}
		if (b.Class() == Benign) != (len(b.Techniques()) == 0) {
			t.Errorf("%s is %s with techniques %v", b, b.Class(), b.Techniques())
		}
		for _, x := range b.Techniques() {
			if !id.MatchString(x) {
				t.Errorf("%s: technique %q", b, x)
			}
		}
	}
	if got := Behavior("no_such"); got.Sentence() != "" || got.Class() != Neutral || got.rank() != len(traits) {
		t.Errorf("an unknown behaviour has a sentence or a class")
	}
	b := All()
	b[0] = "changed"
	if All()[0] == "changed" {
		t.Error("All returns the package's own slice")
	}
}

// TestTechniquesExist holds every technique of a table or of a hit to MITRE's list.
func TestTechniquesExist(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REALDATA")
	if dir == "" {
		t.Skip("REALDATA is not set")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "mitre", "enterprise_attack_v18.1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Techniques []struct {
			ID         string `json:"id"`
			Revoked    bool   `json:"revoked"`
			Deprecated bool   `json:"deprecated"`
		} `json:"techniques"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	current := map[string]bool{}
	for _, x := range list.Techniques {
		current[x.ID] = !x.Revoked && !x.Deprecated
	}
	check := func(where string, ids []string) {
		for _, x := range ids {
			if !current[x] {
				t.Errorf("%s: %s is not a current technique", where, x)
			}
		}
	}
	for _, b := range All() {
		check(string(b), b.Techniques())
	}
	for _, r := range rules() {
		check(r.names, strings.Fields(r.techniques))
	}
	for _, l := range readCorpus(t, filepath.Join("testdata", "corpus.ndjson")) {
		for _, h := range Read(l.Args, false).Hits {
			check(h.Text, h.Techniques)
		}
	}
}
