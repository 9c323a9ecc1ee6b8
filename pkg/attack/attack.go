// Package attack speaks MITRE ATT&CK: it turns Security Command Center's enum
// names into tactic and technique ids, knows which of them each Cloud Run
// detector stands for, and puts tactics in the order of the kill chain.
//
// Ids are those Security Command Center uses. ATT&CK 19 split "Defense Evasion"
// and revoked T1562, which Security Command Center still sends: nothing here is
// checked against the newest ATT&CK, and every name that is not known passes
// through unchanged.
package attack

import (
	"cmp"
	"slices"
	"strings"
)

// MappingVersion is the ATT&CK version of the names and tactics in this package.
const MappingVersion = "18.1"

// tactic is one ATT&CK tactic. Its place in tacticTable is its place in the
// kill chain.
type tactic struct {
	id, enum, name string
}

var tacticTable = []tactic{
	{"TA0043", "RECONNAISSANCE", "Reconnaissance"},
	{"TA0042", "RESOURCE_DEVELOPMENT", "Resource Development"},
	{"TA0001", "INITIAL_ACCESS", "Initial Access"},
	{"TA0002", "EXECUTION", "Execution"},
	{"TA0003", "PERSISTENCE", "Persistence"},
	{"TA0004", "PRIVILEGE_ESCALATION", "Privilege Escalation"},
	{"TA0005", "DEFENSE_EVASION", "Defense Evasion"},
	{"TA0006", "CREDENTIAL_ACCESS", "Credential Access"},
	{"TA0007", "DISCOVERY", "Discovery"},
	{"TA0008", "LATERAL_MOVEMENT", "Lateral Movement"},
	{"TA0009", "COLLECTION", "Collection"},
	{"TA0011", "COMMAND_AND_CONTROL", "Command and Control"},
	{"TA0010", "EXFILTRATION", "Exfiltration"},
	{"TA0040", "IMPACT", "Impact"},
}

// The indexes are built once and only read.
var (
	techniqueByEnum = index(techniqueTable, func(t technique) string { return t.enum })
	techniqueByID   = index(techniqueTable, func(t technique) string { return t.id })
)

func index(table []technique, key func(technique) string) map[string]*technique {
	m := make(map[string]*technique, len(table))
	for i := range table {
		if k := key(table[i]); k != "" {
			m[k] = &table[i]
		}
	}
	return m
}

// Tactic returns the id of a tactic given Security Command Center's enum name,
// "EXECUTION" → "TA0002". An unknown name comes back unchanged, the unspecified
// value as "".
func Tactic(enum string) string {
	if enum == "TACTIC_UNSPECIFIED" {
		return ""
	}
	for i := range tacticTable {
		if tacticTable[i].enum == enum {
			return tacticTable[i].id
		}
	}
	return enum
}

// Technique returns the id of a technique given Security Command Center's enum
// name, "UNIX_SHELL" → "T1059.004". An unknown name comes back unchanged, the
// unspecified value as "".
func Technique(enum string) string {
	if enum == "TECHNIQUE_UNSPECIFIED" {
		return ""
	}
	if t, ok := techniqueByEnum[enum]; ok {
		return t.id
	}
	return enum
}

// TacticName returns ATT&CK's name of a tactic id, or "" when it is unknown.
func TacticName(id string) string {
	if i := tacticIndex(id); i >= 0 {
		return tacticTable[i].name
	}
	return ""
}

// TechniqueName returns ATT&CK's name of a technique id, or "" when it is
// unknown. The name of a sub-technique is given without its parent's.
func TechniqueName(id string) string {
	if t, ok := techniqueByID[id]; ok {
		return t.name
	}
	return ""
}

// TechniqueTactics returns the ids of the tactics a technique serves, or nil
// when it is unknown. The caller owns the slice.
func TechniqueTactics(id string) []string {
	t, ok := techniqueByID[id]
	if !ok {
		return nil
	}
	return strings.Fields(t.tactics)
}

// TechniqueURL returns the page of a technique on attack.mitre.org, or "" when
// the id is not of the form T1059 or T1059.004.
func TechniqueURL(id string) string {
	base, sub, found := strings.Cut(id, ".")
	if len(base) != 5 || base[0] != 'T' || !digits(base[1:]) {
		return ""
	}
	if !found {
		return "https://attack.mitre.org/techniques/" + base + "/"
	}
	if len(sub) != 3 || !digits(sub) {
		return ""
	}
	return "https://attack.mitre.org/techniques/" + base + "/" + sub + "/"
}

// Order returns the place of a tactic in the kill chain, 0 for Reconnaissance
// to 13 for Impact; an unknown id comes after all of them.
func Order(tacticID string) int {
	if i := tacticIndex(tacticID); i >= 0 {
		return i
	}
	return len(tacticTable)
}

// SortTactics returns the ids in the order of the kill chain, each once;
// unknown ids come last, by name. The argument is not changed.
func SortTactics(ids []string) []string {
	out := withoutEmpty(ids)
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(Order(a), Order(b)), strings.Compare(a, b))
	})
	return slices.Compact(out)
}

// SortTechniques returns the ids in the order of the kill chain of their first
// tactic, then by id, each once; unknown ids come last. The argument is not changed.
func SortTechniques(ids []string) []string {
	out := withoutEmpty(ids)
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(techniqueOrder(a), techniqueOrder(b)), strings.Compare(a, b))
	})
	return slices.Compact(out)
}

// Version returns the ATT&CK version a mapping refers to: the one Security
// Command Center named, else MappingVersion.
func Version(sccVersion string) string {
	v := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(sccVersion)), "v")
	if v == "" {
		return MappingVersion
	}
	return v
}

func techniqueOrder(id string) int {
	best := len(tacticTable)
	if t, ok := techniqueByID[id]; ok {
		for tac := range strings.FieldsSeq(t.tactics) {
			best = min(best, Order(tac))
		}
	}
	return best
}

func tacticIndex(id string) int {
	for i := range tacticTable {
		if tacticTable[i].id == id {
			return i
		}
	}
	return -1
}

func withoutEmpty(ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if id != "" {
			out = append(out, id)
		}
	}
	return out
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
