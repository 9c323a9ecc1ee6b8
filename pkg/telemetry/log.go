// Package telemetry is how the service speaks of itself: zap lines in Cloud
// Logging's format, Prometheus metrics and OpenTelemetry traces.
package telemetry

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewLogger returns a logger that writes one JSON object a line with the
// fields Cloud Logging reads: severity, message, timestamp
// (https://cloud.google.com/logging/docs/structured-logging). The level is one
// of debug, info, warn, error.
func NewLogger(w io.Writer, level string) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: %w", level, err)
	}
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:        "timestamp",
		LevelKey:       "severity",
		MessageKey:     "message",
		NameKey:        "logger",
		LineEnding:     zapcore.DefaultLineEnding,
		EncodeTime:     zapcore.RFC3339NanoTimeEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
		EncodeLevel:    severity,
	})
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), l)), nil
}

// severity is Cloud Logging's LogSeverity of a zap level.
func severity(l zapcore.Level, enc zapcore.PrimitiveArrayEncoder) {
	switch {
	case l <= zapcore.DebugLevel:
		enc.AppendString("DEBUG")
	case l == zapcore.InfoLevel:
		enc.AppendString("INFO")
	case l == zapcore.WarnLevel:
		enc.AppendString("WARNING")
	case l == zapcore.ErrorLevel:
		enc.AppendString("ERROR")
	default:
		enc.AppendString("CRITICAL")
	}
}
