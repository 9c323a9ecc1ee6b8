package command
import ("testing";"os";"strings")
func TestZZ(t *testing.T){ b,_:=os.ReadFile("/tmp/rc/probe.txt"); for _,l:=range strings.Split(string(b),"\n"){ if l==""{continue}; r:=Read([]string{"sh","-c",l},false); if r.Class()<Suspicious { t.Logf("%v %s %v", r.Class(), l, names(r)) } } }
