package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// screen says how to lay out what is printed.
type screen struct {
	// Color is true on a terminal that wants colour; Width is in columns.
	Color bool
	Width int
}

// terminal looks at where output goes: colour and the real width on a
// terminal, plain text of 100 columns in a pipe. NO_COLOR switches colour off
// (https://no-color.org).
func terminal(w io.Writer) screen {
	s := screen{Width: 100}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	s.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width >= 40 {
		s.Width = min(width, 140)
	}
	return s
}
