package main

import (
	"errors"
	"fmt"
)

// policyCmd groups the commands on policies.
type policyCmd struct {
	Test policyTestCmd `cmd:"" help:"Run the test cases inside policy files."`
}

// policyTestCmd runs a policy's own test cases.
type policyTestCmd struct {
	Files []string `arg:"" name:"file" help:"Policy files in YAML."`
}

// Run prints a line a file and every failed case.
func (p *policyTestCmd) Run(std streams) error {
	var failed error
	for _, file := range p.Files {
		policy, err := loadPolicy(file)
		if err != nil {
			failed = errors.Join(failed, usageError{err})
			continue
		}
		failures := policy.Test()
		for _, f := range failures {
			if _, err := fmt.Fprintf(std.out, "FAIL %s: %s\n", file, f); err != nil {
				return err
			}
		}
		if len(failures) > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: %d of %s failed", file, len(failures), cases(policy.Tests())))
			continue
		}
		if _, err := fmt.Fprintf(std.out, "ok   %s: %s\n", file, cases(policy.Tests())); err != nil {
			return err
		}
	}
	return failed
}

// cases counts test cases in words.
func cases(n int) string {
	if n == 1 {
		return "1 case"
	}
	return fmt.Sprintf("%d cases", n)
}
