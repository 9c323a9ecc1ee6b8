#!/bin/sh
# inspect.sh ROOT: looks through the files of an image, and fails where there is
# a shell, an interpreter, a package manager, a file that runs as somebody else
# (setuid, setgid), or one of ours that not only root may write.
set -eu
root="${1:?say the folder}"
[ -f "$root/scc-enricher" ] || { echo "no binary in $root"; exit 1; }

bad=""
for name in sh ash bash dash zsh ksh busybox toybox python python3 perl ruby node lua awk gawk mawk apt apt-get dpkg apk rpm yum wget curl nc ncat socat su sudo; do
  found="$(find "$root" -name "$name" ! -type d -print)"
  [ -z "$found" ] || bad="$bad $found"
done
setuid="$(find "$root" -type f \( -perm -4000 -o -perm -2000 \) -print)"
[ -z "$setuid" ] || bad="$bad $setuid"
writable="$(find "$root/scc-enricher" -perm -0002 -print)"
[ -z "$writable" ] || bad="$bad $writable"
[ -z "$bad" ] || { echo "the image must not have:$bad"; exit 1; }
echo "no shell, no setuid file"
