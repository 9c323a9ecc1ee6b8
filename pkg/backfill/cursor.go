package backfill

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Errors of Cursor.Load.
var (
	// ErrOtherQuery: the file is the cursor of another query. Begin anew.
	ErrOtherQuery = errors.New("the cursor is of another query")
	// ErrNoCursor: the file is something else, and must not be overwritten.
	ErrNoCursor = errors.New("not a cursor of a backfill")
)

// Cursor is a file that says how far a job has come: every finding with an
// earlier event time is done.
type Cursor struct {
	// Path is the file; it need not exist.
	Path string
	// Query tells one listing from another; see Fingerprint.
	Query string
}

// Fingerprint makes the Query of a cursor from everything that changes which
// findings are listed and what they need.
func Fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// cursorFile is the content of the file.
type cursorFile struct {
	Kind  string    `json:"kind"`
	Query string    `json:"query"`
	At    time.Time `json:"at"`
}

const (
	cursorKind = "scc-enricher backfill cursor 1"
	// maxCursor bounds the file, in bytes.
	maxCursor = 4 << 10
)

// Load returns the event time to go on from; zero when there is no file. The
// error wraps ErrOtherQuery or ErrNoCursor where the file is not this query's.
func (c *Cursor) Load() (time.Time, error) {
	file, err := os.Open(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("open cursor: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxCursor))
	if err != nil {
		return time.Time{}, fmt.Errorf("read cursor: %w", err)
	}
	var v cursorFile
	if err := json.Unmarshal(data, &v); err != nil || v.Kind != cursorKind || v.At.IsZero() {
		return time.Time{}, fmt.Errorf("%s: %w", c.Path, ErrNoCursor)
	}
	if v.Query != c.Query {
		return time.Time{}, fmt.Errorf("%s: %w", c.Path, ErrOtherQuery)
	}
	return v.At, nil
}

// Save writes the file so that it is always whole: the old one or the new one.
func (c *Cursor) Save(at time.Time) (err error) {
	data, err := json.Marshal(cursorFile{Kind: cursorKind, Query: c.Query, At: at.UTC()})
	if err != nil {
		return fmt.Errorf("encode cursor: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(c.Path), ".backfill-*")
	if err != nil {
		return fmt.Errorf("create cursor: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if _, err := file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	if err := os.Rename(file.Name(), c.Path); err != nil {
		return fmt.Errorf("replace cursor: %w", err)
	}
	return nil
}

// Remove deletes the file, if there is one.
func (c *Cursor) Remove() error {
	if err := os.Remove(c.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove cursor: %w", err)
	}
	return nil
}
