package finding

import (
	"encoding/json"
	"path"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"
)

// properties are the source properties that say what version 1 of the API has
// no field for. The keys of Reverse_Shell_* and Container_Image_Uri are on the
// page of the Cloud Run Reverse Shell finding; the others are those of Container
// Threat Detection, which shares its detectors with Cloud Run's.
type properties struct {
	shell    ReverseShell
	hasShell bool

	image, imageID, container string

	binary     string
	args       []string
	argsLeft   int
	pid, ppid  int64
	hasProcess bool
}

// value is the value of one source property.
type value interface {
	text() string
	integer() int64
	// each yields the strings of a list.
	each(yield func(string) bool)
}

func (p *properties) set(key string, v value) {
	switch key {
	case "Reverse_Shell_Stdin_Redirection_Dst_Ip":
		p.shell.DestinationIP, p.hasShell = v.text(), true
	case "Reverse_Shell_Stdin_Redirection_Dst_Port":
		p.shell.DestinationPort, p.hasShell = port(v.integer()), true
	case "Reverse_Shell_Stdin_Redirection_Src_Ip":
		p.shell.SourceIP, p.hasShell = v.text(), true
	case "Reverse_Shell_Stdin_Redirection_Src_Port":
		p.shell.SourcePort, p.hasShell = port(v.integer()), true
	case "Container_Image_Uri":
		p.image = v.text()
	case "Container_Image_Id":
		p.imageID = v.text()
	case "Container_Name":
		p.container = v.text()
	case "Process_Binary_Fullpath":
		p.binary, p.hasProcess = v.text(), true
	case "Process_Arguments":
		p.setArgs(v)
		p.hasProcess = true
	case "Pid":
		p.pid, p.hasProcess = v.integer(), true
	case "Parent_Pid":
		p.ppid, p.hasProcess = v.integer(), true
	}
}

// setArgs reads an argument vector: a list, a JSON array as text, or one text.
func (p *properties) setArgs(v value) {
	p.args, p.argsLeft = nil, 0
	v.each(func(s string) bool {
		if len(p.args) >= maxArgs {
			p.argsLeft++
		} else {
			p.args = append(p.args, s)
		}
		return true
	})
	s := v.text()
	if len(p.args) > 0 || s == "" {
		return
	}
	if s[0] == '[' && json.Valid([]byte(s)) {
		p.setArgs(nodeValue(s))
		return
	}
	p.args = []string{s}
}

// apply fills what the finding's own fields left empty.
func (p *properties) apply(f *Finding) {
	if p.hasShell && p.shell != (ReverseShell{}) {
		shell := p.shell
		shell.DestinationIP = f.cut(shell.DestinationIP, maxText)
		shell.SourceIP = f.cut(shell.SourceIP, maxText)
		f.ReverseShell = &shell
	}
	if len(f.Containers) == 0 && (p.image != "" || p.imageID != "" || p.container != "") {
		f.Containers = []Container{{
			Name:    f.cut(p.container, maxText),
			URI:     f.cut(p.image, maxText),
			ImageID: f.cut(p.imageID, maxText),
		}}
	}
	if len(f.Processes) == 0 && p.hasProcess {
		proc := Process{PID: p.pid, ParentPID: p.ppid}
		if p.binary != "" {
			proc.Binary = &File{Path: f.encoded(p.binary, maxText)}
			proc.Name = path.Base(proc.Binary.Path)
		}
		for _, arg := range p.args {
			f.addArg(&proc, arg)
		}
		if p.argsLeft > 0 {
			f.Truncated += p.argsLeft
			proc.ArgsTruncated = true
		}
		if proc.Binary != nil || len(proc.Args) > 0 || proc.PID != 0 {
			f.Processes = []Process{proc}
		}
	}
}

// nodeValue is a property in JSON.
type nodeValue node

func (v nodeValue) text() string {
	s, _ := node(v).text()
	return s
}

func (v nodeValue) integer() int64 {
	i, _ := node(v).integer()
	return i
}

func (v nodeValue) each(yield func(string) bool) {
	for e := range node(v).elements() {
		if s, ok := e.text(); ok && !yield(s) {
			return
		}
	}
}

// protoValue is a property of the API's own client.
type protoValue struct{ v *structpb.Value }

func (v protoValue) text() string { return v.v.GetStringValue() }

func (v protoValue) integer() int64 {
	s := v.v.GetStringValue()
	if n, ok := v.v.GetKind().(*structpb.Value_NumberValue); ok {
		s = strconv.FormatFloat(n.NumberValue, 'f', -1, 64)
	}
	i, _ := parseInteger(s)
	return i
}

func (v protoValue) each(yield func(string) bool) {
	for _, e := range v.v.GetListValue().GetValues() {
		if s, ok := e.GetKind().(*structpb.Value_StringValue); ok && !yield(s.StringValue) {
			return
		}
	}
}
