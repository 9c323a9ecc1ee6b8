package cloudrun

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// maxDetails bounds the details of one comparison.
const maxDetails = 30

// diff collects what changed between two versions.
type diff struct {
	changed []string
	details []string
	cut     int
}

func (d *diff) add(what, format string, args ...any) {
	if !slices.Contains(d.changed, what) {
		d.changed = append(d.changed, what)
	}
	if len(d.details) == maxDetails {
		d.cut++
		return
	}
	d.details = append(d.details, fmt.Sprintf(format, args...))
}

// changes compares two versions: what changed, of the closed set image,
// command, args, env, service_account and scaling, and each change in words
// that tell no values. Ingress belongs to the service, not to a revision, and
// is not known for older ones.
func changes(old, cur *version) (changed, details []string) {
	d := &diff{}
	pairs, gone := pair(old.containers, cur.containers)
	for i, c := range cur.containers {
		if o := pairs[i]; o != nil {
			d.container(o, &c, len(cur.containers) > 1)
		} else {
			d.add("image", "container added: %s, image %s", c.Name, c.Image)
		}
	}
	for _, o := range gone {
		d.add("image", "container removed: %s, image %s", o.Name, o.Image)
	}
	oldAccount, oldDefault := old.account("")
	curAccount, curDefault := cur.account("")
	if oldAccount != curAccount && (!oldDefault || !curDefault) {
		d.add("service_account", "service account changed: %s to %s", orDefault(oldAccount), orDefault(curAccount))
	}
	d.number("minimum instances", old.minimum, cur.minimum)
	d.number("maximum instances", old.maximum, cur.maximum)
	d.number("tasks", old.tasks, cur.tasks)
	d.number("parallelism", old.parallelism, cur.parallelism)
	if d.cut > 0 {
		d.details = append(d.details, fmt.Sprintf("and %d more", d.cut))
	}
	order := []string{"image", "command", "args", "env", "service_account", "scaling"}
	slices.SortFunc(d.changed, func(a, b string) int { return cmp.Compare(slices.Index(order, a), slices.Index(order, b)) })
	return d.changed, d.details
}

// pair finds each container's predecessor: the one of the same name, or the
// only one. It returns one, or nil, per new container, and the old ones left over.
func pair(old, cur []container) (pairs []*container, gone []*container) {
	pairs = make([]*container, len(cur))
	if len(old) == 1 && len(cur) == 1 {
		pairs[0] = &old[0]
		return pairs, nil
	}
	used := map[int]bool{}
	for i := range cur {
		for j := range old {
			if !used[j] && old[j].Name == cur[i].Name {
				pairs[i], used[j] = &old[j], true
				break
			}
		}
	}
	for j := range old {
		if !used[j] {
			gone = append(gone, &old[j])
		}
	}
	return pairs, gone
}

func (d *diff) container(old, cur *container, several bool) {
	in := ""
	if several {
		in = " in container " + cur.Name
	}
	if old.Image != cur.Image {
		d.add("image", "image changed%s: %s to %s", in, old.Image, cur.Image)
	}
	if old.command != cur.command {
		d.add("command", "command changed%s", in)
	}
	if old.args != cur.args {
		d.add("args", "arguments changed%s", in)
	}
	for _, n := range slices.Sorted(maps.Keys(cur.env)) {
		c := cur.env[n]
		switch o, was := old.env[n]; {
		case !was:
			d.add("env", "env added: %s%s", n, in)
		case o.secret && !c.secret:
			d.add("env", "env changed: %s%s, from a secret to a literal value", n, in)
		case !o.secret && c.secret:
			d.add("env", "env changed: %s%s, from a literal value to a secret", n, in)
		case o.hash != c.hash:
			d.add("env", "env changed: %s%s", n, in)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(old.env)) {
		if _, is := cur.env[n]; !is {
			d.add("env", "env removed: %s%s", n, in)
		}
	}
}

func (d *diff) number(what string, old, cur int) {
	if old != cur {
		d.add("scaling", "%s changed: %d to %d", what, old, cur)
	}
}

func orDefault(account string) string {
	if account == "" {
		return "the default"
	}
	return account
}

// overridden reports whether an execution runs with another command or other
// arguments than its job's template. RunJob can override arguments for one
// execution; so does an update of the job since.
func overridden(template, execution *version) bool {
	pairs, _ := pair(template.containers, execution.containers)
	for i, c := range execution.containers {
		if t := pairs[i]; t != nil && (t.command != c.command || t.args != c.args) {
			return true
		}
	}
	return false
}
