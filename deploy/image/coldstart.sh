#!/usr/bin/env bash
# Prints how long a binary of scc-enricher takes from exec to a /readyz that
# answers, best and median of eleven: deploy/image/coldstart.sh [BINARY]
set -euo pipefail
binary="${1:-}"
if [ -z "$binary" ]; then
  cd "$(dirname "$0")/../.."
  binary="$(mktemp -d)/scc-enricher"
  trap 'rm -rf "$(dirname "$binary")"' EXIT
  CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$binary" ./cmd/scc-enricher
fi

port=$((20000 + RANDOM % 20000))
once() {
  local start end pid
  start="$(date +%s%N)"
  # Emulated upstreams that are never called: readiness asks nobody.
  PORT=$port PUSH_AUTH=none SCC_ENDPOINT=http://127.0.0.1:9 LOGGING_ENDPOINT=http://127.0.0.1:9 \
    RUN_ENDPOINT=http://127.0.0.1:9 "$binary" serve >/dev/null 2>&1 &
  pid=$!
  for _ in $(seq 1 5000); do
    if { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
      printf 'GET /readyz HTTP/1.0\r\nHost: x\r\n\r\n' >&3
      if read -r -t 5 line <&3 && [[ "$line" == *" 200 "* ]]; then
        end="$(date +%s%N)"
        exec 3>&-
        kill "$pid"
        wait "$pid" 2>/dev/null || true
        echo $(((end - start) / 1000))
        return
      fi
      exec 3>&-
    fi
    sleep 0.001
  done
  kill "$pid" 2>/dev/null || true
  echo "never became ready" >&2
  exit 1
}

times="$(for _ in $(seq 1 11); do once; port=$((port + 1)); done | sort -n)"
best="$(head -1 <<<"$times")"
median="$(sed -n 6p <<<"$times")"
echo "cold start, exec to /readyz: best $((best / 1000)).$(printf %03d $((best % 1000))) ms, median $((median / 1000)).$(printf %03d $((median % 1000))) ms"
