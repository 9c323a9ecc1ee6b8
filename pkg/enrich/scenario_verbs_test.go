package enrich_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scc-enricher/scc-enricher/pkg/enrich"
	"github.com/scc-enricher/scc-enricher/pkg/finding"
)

// verb does one line of the script; words are those after the verb.
type verb func(st *stage, words []string) error

// verbs are all that a script can say beside "expect" and "golden".
func verbs(parts parts) map[string]verb {
	return map[string]verb{
		"deliver":  (*stage).deliverWords,
		"lose":     (*stage).lose,
		"refire":   (*stage).refire,
		"inactive": change(func(f *finding.Finding) { f.State = finding.Inactive }),
		"active":   change(func(f *finding.Finding) { f.State = finding.Active }),
		"mute":     change(func(f *finding.Finding) { f.Mute = "MUTED" }),
		"unmute":   change(func(f *finding.Finding) { f.Mute = "UNMUTED" }),
		"mark":     (*stage).mark,
		"delete":   (*stage).remove,
		"instance": func(st *stage, words []string) error { return st.instance(words, parts) },
		"kill":     (*stage).kill,
		"findings": faultOf("findings"), "logs": faultOf("logs"), "config": faultOf("config"),
		"virustotal": faultOf("virustotal"), "write": faultOf("write"),
		"list":     (*stage).list,
		"recover":  (*stage).recover,
		"backfill": (*stage).backfill,
		"rest":     func(st *stage, words []string) error { return st.pass(time.Time{}) },
		"count":    func(st *stage, words []string) error { clear(st.counts); return nil },
		"remember": (*stage).remember,
	}
}

// pick resolves names and ranges of findings.
func (st *stage) pick(words []string) ([]string, error) {
	var out []string
	for _, w := range words {
		if w == "all" {
			out = append(out, st.s.order...)
			continue
		}
		names, err := expand(w)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if st.s.findings[name] == nil {
				return nil, fmt.Errorf("no finding %q; there are %s", name, strings.Join(st.s.order, ", "))
			}
		}
		out = append(out, names...)
	}
	if len(out) == 0 {
		return nil, errors.New("which finding?")
	}
	return out, nil
}

// option cuts "key VALUE" off the words.
func option(words []string, key string) (rest []string, value string) {
	i := slices.Index(words, key)
	if i < 0 || i+1 >= len(words) {
		return words, ""
	}
	return slices.Delete(slices.Clone(words), i, i+2), words[i+1]
}

// deliverWords: deliver NAMES [again|first] [every TIME] [to INSTANCE].
func (st *stage) deliverWords(words []string) error {
	words, to := option(words, "to")
	words, gap := option(words, "every")
	every, err := offset(gap, 0)
	if err != nil {
		return err
	}
	if to != "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < 1 || n > len(st.instances) {
			return fmt.Errorf("no instance %q", to)
		}
		defer func(before int) { st.current = before }(st.current)
		st.current = n - 1
	}
	which := ""
	if last := words[len(words)-1:]; len(last) == 1 && (last[0] == "again" || last[0] == "first") {
		words, which = words[:len(words)-1], last[0]
	}
	names, err := st.pick(words)
	if err != nil {
		return err
	}
	for i, name := range names {
		if i > 0 && every > 0 {
			if err := st.pass(time.Now().Add(every)); err != nil {
				return err
			}
		}
		if err := st.deliverOne(name, which); err != nil {
			return err
		}
	}
	return nil
}

// deliverOne publishes a finding and pushes the message, or pushes an earlier message again.
func (st *stage) deliverOne(name, which string) error {
	message := st.last[name]
	switch which {
	case "":
		message = st.publish(name)
	case "first":
		message = st.first[name]
	}
	if message == nil {
		return fmt.Errorf("%s was never delivered", name)
	}
	copied := *message
	copied.Marks = maps.Clone(message.Marks)
	return st.push(&copied)
}

// publish makes SCC have the finding, and is the message it sends of it.
func (st *stage) publish(name string) *finding.Finding {
	f := st.s.findings[name]
	if _, ok := st.birth[f.CanonicalName]; !ok {
		st.birth[f.CanonicalName] = time.Now()
	}
	st.add(f)
	message := *st.stored[f.CanonicalName]
	message.Marks = maps.Clone(message.Marks)
	st.last[name] = &message
	if st.first[name] == nil {
		st.first[name] = &message
	}
	return &message
}

// push hands a message to the current instance, and again while it is refused.
func (st *stage) push(f *finding.Finding) error {
	i := st.current
	if !st.alive[i] {
		if i = st.next(); i < 0 {
			return errors.New("no instance is alive")
		}
	}
	name := st.short(f.CanonicalName)
	st.count("deliveries")
	res, err := st.instances[i].Enrich(st.t.Context(), f)
	failure, failed := errors.AsType[*enrich.Failure](err)
	switch {
	case failed && failure.Permanent:
		st.count("dead")
		st.decisions[name] = enrich.Decision(failure.Reason)
	case failed:
		st.count("refused")
		st.decisions[name] = enrich.Decision(failure.Reason)
		st.plan(time.Now().Add(pushAgain), "delivery of "+name+" again", func() error { return st.push(f) })
	case err != nil:
		return err
	default:
		st.decisions[name] = res.Decision
		return errors.Join(res.RecordErr, res.FollowErr)
	}
	return nil
}

// lose: SCC has the findings, nobody is told.
func (st *stage) lose(words []string) error {
	names, err := st.pick(words)
	for _, name := range names {
		st.publish(name)
	}
	return err
}

// refire: NAME event TIME: the detector sees it again.
func (st *stage) refire(words []string) error {
	words, at := option(words, "event")
	event, err := offset(at, time.Since(st.s.world.Start))
	if err != nil {
		return err
	}
	return st.changed(words, func(f *finding.Finding) { f.EventTime = st.s.world.Start.Add(event) })
}

// change is a verb that changes findings; SCC notifies of the change.
func change(edit func(*finding.Finding)) verb {
	return func(st *stage, words []string) error { return st.changed(words, edit) }
}

func (st *stage) changed(words []string, edit func(*finding.Finding)) error {
	names, err := st.pick(words)
	if err != nil {
		return err
	}
	for _, name := range names {
		copied := *st.s.findings[name]
		edit(&copied)
		st.s.findings[name] = &copied
		if err := st.deliverOne(name, ""); err != nil {
			return err
		}
	}
	return nil
}

// mark: NAME KEY=VALUE: somebody edits a mark; SCC notifies.
func (st *stage) mark(words []string) error {
	if len(words) != 2 {
		return errors.New("want: mark NAME KEY=VALUE")
	}
	names, err := st.pick(words[:1])
	if err != nil {
		return err
	}
	f := st.stored[st.s.findings[names[0]].CanonicalName]
	if f == nil {
		return errors.New("SCC does not have it yet")
	}
	key, value, _ := strings.Cut(words[1], "=")
	edited := maps.Clone(f.Marks)
	if edited == nil {
		edited = map[string]string{}
	}
	edited[key] = value
	f.Marks = edited
	return st.deliverOne(names[0], "")
}

// remove: SCC does not have the findings any more.
func (st *stage) remove(words []string) error {
	names, err := st.pick(words)
	for _, name := range names {
		delete(st.stored, st.s.findings[name].CanonicalName)
	}
	return err
}

func (st *stage) instance(words []string, parts parts) error {
	n, err := number(words)
	if err != nil {
		return err
	}
	st.current = n - 1
	return st.start(n, parts)
}

// kill: instance N dies, with its memory and its local queue.
func (st *stage) kill(words []string) error {
	n, err := number(words)
	if err != nil || n > len(st.instances) {
		return fmt.Errorf("no such instance: %v", words)
	}
	st.alive[n-1] = false
	return nil
}

func number(words []string) (int, error) {
	n, err := strconv.Atoi(strings.Join(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "instance" }), " "))
	if err != nil || n < 1 || n > 100 {
		return 0, fmt.Errorf("want the number of an instance, not %v", words)
	}
	return n, nil
}

// faultOf: SOURCE down|denied|quota|slow TIME [until TIME].
func faultOf(source string) verb {
	return func(st *stage, words []string) error {
		words, end := option(words, "until")
		f := fault{}
		if end != "" {
			d, err := time.ParseDuration(end)
			if err != nil {
				return err
			}
			f.until = st.s.world.Start.Add(d)
		}
		switch {
		case len(words) == 2 && words[0] == "slow":
			d, err := time.ParseDuration(words[1])
			if err != nil {
				return err
			}
			f.slow = d
		case len(words) == 1 && slices.Contains([]string{"down", "denied", "quota"}, words[0]):
		default:
			return fmt.Errorf("want: %s down|denied|quota|slow TIME [until TIME]", source)
		}
		f.kind = words[0]
		st.faults[source] = f
		return nil
	}
}

// list: "list lag TIME" or "list cut".
func (st *stage) list(words []string) (err error) {
	switch {
	case len(words) == 2 && words[0] == "lag":
		st.lag, err = time.ParseDuration(words[1])
	case len(words) == 1 && words[0] == "cut":
		st.cut = true
	default:
		err = errors.New("want: list lag TIME, or list cut")
	}
	return err
}

func (st *stage) recover(words []string) error {
	for _, source := range words {
		if source == "list" {
			st.lag, st.cut = 0, false
		}
		delete(st.faults, source)
	}
	return nil
}

func (st *stage) remember([]string) error {
	st.remembered = st.marksAtRest()
	return nil
}
