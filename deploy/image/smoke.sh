#!/usr/bin/env bash
# Builds the image from the Dockerfile without a daemon and without a registry,
# and tries it: version, demo, configuration, size, reproducibility, cold start.
#
# Needs buildah and Go. Where the base images can be pulled, say PULL=1 and the
# Dockerfile's own bases are used. Otherwise the build stage runs on this
# machine's Go toolchain and the result stands on an empty image, which is what
# a static binary needs least: whatever works there works on distroless.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v buildah >/dev/null || {
  echo "buildah is missing: apt-get install buildah"
  [ -z "${REQUIRE_BUILDAH:-}" ] || exit 1
  echo "skipped"
  exit 0
}

work="$(mktemp -d)"
# chroot isolation and vfs storage work as root in a container of any kind.
bud() { buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"; }
cleanup() {
  bud rm --all >/dev/null 2>&1 || true
  chmod -R u+w "$work" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
export BUILDAH_ISOLATION=chroot

version="smoke-1.2.3"
commit="0123456789abcdef0123456789abcdef01234567"
args=(--build-arg "VERSION=$version" --build-arg "COMMIT=$commit")
if [ -z "${PULL:-}" ]; then
  # An image with this machine's Go, a shell, and the modules already here.
  goroot="$(go env GOROOT)"
  builder="$(bud from scratch)"
  mount="$(bud mount "$builder")"
  mkdir -p "$mount/bin" "$mount/tmp" "$mount/etc/ssl/certs" "$mount$goroot"
  cp -L /bin/sh "$mount/bin/sh"
  for lib in $(ldd /bin/sh | grep -o '/[^ ]*'); do
    mkdir -p "$mount$(dirname "$lib")" && cp -L "$lib" "$mount$lib"
  done
  cp -a "$goroot/." "$mount$goroot/"
  [ ! -f /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$mount/etc/ssl/certs/"
  [ ! -f /etc/resolv.conf ] || cp -L /etc/resolv.conf "$mount/etc/resolv.conf"
  bud umount "$builder" >/dev/null
  bud config --env "PATH=$goroot/bin:/bin" --env HOME=/tmp --env GOMODCACHE=/cache/mod --env GOCACHE=/cache/build \
    --env "GOPROXY=$(go env GOPROXY)" --env "GOSUMDB=$(go env GOSUMDB)" "$builder"
  bud commit --quiet "$builder" localhost/go-of-this-machine >/dev/null
  args+=(--build-arg GO_IMAGE=localhost/go-of-this-machine --build-arg BASE=scratch --pull-never
    --volume "$(go env GOMODCACHE):/cache/mod" --volume "$(go env GOCACHE):/cache/build")
  go mod download
fi

start=$SECONDS
bud bud "${args[@]}" --tag localhost/scc-enricher . >"$work/log" 2>&1 || { tail -30 "$work/log"; exit 1; }
echo "built in $((SECONDS - start))s"

fail() { echo "FAIL: $*"; exit 1; }

config="$(bud inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}} {{.OCIv1.Config.ExposedPorts}}' localhost/scc-enricher)"
[ "$config" = "65532:65532 [/scc-enricher] [serve] map[8080/tcp:{}]" ] || fail "configuration is $config"

container="$(bud from --pull-never localhost/scc-enricher)"
root="$(bud mount "$container")"
binary="$root/scc-enricher"
bytes="$(stat -c %s "$binary")"
image="$(du -sb "$root" | cut -f1)"
echo "binary $bytes bytes, files of the image $image bytes"
[ "$bytes" -le 47185920 ] || fail "the binary is above 45 MiB"
[ "$image" -le 57671680 ] || fail "the image is above 55 MiB"
[ -n "${PULL:-}" ] || [ "$(cd "$root" && find . -type f -size +0 | grep -vc '^./scc-enricher$')" = 0 ] || fail "the image holds more than the binary: $(find "$root" -type f)"
sh deploy/image/inspect.sh "$root" || fail "the image holds what it must not"

out="$(bud run "$container" -- /scc-enricher version)"
echo "$out"
case "$out" in "scc-enricher $version commit $commit "*) ;; *) fail "version says $out" ;; esac

bud run "$container" -- /scc-enricher demo --once >"$work/demo" || { tail -20 "$work/demo"; fail "demo --once"; }
tail -1 "$work/demo"

# The same sources give the same bytes, whatever the folder they lie in.
mkdir "$work/elsewhere"
cp -r go.mod go.sum cmd pkg "$work/elsewhere/"
(cd "$work/elsewhere" && CGO_ENABLED=0 GOFLAGS=-trimpath go build -buildvcs=false -ldflags "-s -w -X main.version=$version -X main.commit=$commit" -o again ./cmd/scc-enricher)
[ -n "${PULL:-}" ] || cmp "$binary" "$work/elsewhere/again" || fail "another folder gives other bytes"
echo "reproducible: $(sha256sum "$binary" | cut -d' ' -f1)"

bash deploy/image/coldstart.sh "$binary"
echo "smoke test passed"
