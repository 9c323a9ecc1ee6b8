package evidence

import "github.com/scc-enricher/scc-enricher/pkg/finding"

// MaxArtifacts bounds the lookups one finding may cause.
const MaxArtifacts = 20

// Artifacts returns the files of a finding whose reputation can be asked, each
// hash once: binaries, loaded libraries, scripts, then other files. Only a hash
// that covers a whole file is asked; the hash of a prefix would answer
// "not found" and be taken for clean.
func Artifacts(f *finding.Finding) []Artifact {
	var out []Artifact
	seen := map[string]bool{}
	add := func(hash, role, path string) {
		if hash == "" || seen[hash] || len(out) == MaxArtifacts {
			return
		}
		seen[hash] = true
		out = append(out, Artifact{Kind: "file", Value: hash, Role: role, Path: path})
	}
	for i := range f.Processes {
		if b := f.Processes[i].Binary; b != nil {
			add(b.FullHash(), "binary", b.Path)
		}
	}
	for i := range f.Processes {
		for j := range f.Processes[i].Libraries {
			add(f.Processes[i].Libraries[j].FullHash(), "library", f.Processes[i].Libraries[j].Path)
		}
	}
	for i := range f.Processes {
		if s := f.Processes[i].Script; s != nil {
			add(f.Processes[i].ScriptHash(), "script", s.Path)
		}
	}
	for i := range f.Files {
		add(f.Files[i].FullHash(), "file", f.Files[i].Path)
	}
	return out
}
