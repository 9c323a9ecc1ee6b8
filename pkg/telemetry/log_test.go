package telemetry_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/scc-enricher/scc-enricher/pkg/telemetry"
)

func TestLoggerWritesCloudLoggingFields(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	log, err := telemetry.NewLogger(&buf, "info")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("below the level")
	log.Warn("delivery", zap.Duration("latency", 1500*time.Millisecond))
	var line map[string]any
	if err := json.Unmarshal(buf.Bytes(), &line); err != nil {
		t.Fatalf("want exactly one JSON line, got %q: %v", buf.String(), err)
	}
	for key, want := range map[string]any{"severity": "WARNING", "message": "delivery", "latency": 1.5} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, line["timestamp"].(string)); err != nil {
		t.Errorf("timestamp: %v", err)
	}
}

func TestLoggerRefusesUnknownLevel(t *testing.T) {
	t.Parallel()
	if _, err := telemetry.NewLogger(&bytes.Buffer{}, "loud"); err == nil {
		t.Error("no error for an unknown level")
	}
}
