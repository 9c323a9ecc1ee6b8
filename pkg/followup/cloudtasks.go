package followup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	cloudtasks "cloud.google.com/go/cloudtasks/apiv2"
	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/scc-enricher/scc-enricher/pkg/upstream"
)

// Cloud Tasks' bounds (google.cloud.tasks.v2.Task and HttpRequest;
// cloud.google.com/tasks/docs/quotas for the schedule).
const (
	maxSchedule         = 30 * 24 * time.Hour
	maxURL              = 2083
	minDispatchDeadline = 15 * time.Second
	maxDispatchDeadline = 30 * time.Minute
)

// dispatchMargin is how much longer Cloud Tasks waits than a run may take, so
// that a run that uses all its time can still say how it ended.
const dispatchMargin = 10 * time.Second

// CloudTasksOptions configure NewCloudTasks.
type CloudTasksOptions struct {
	// Queue is "projects/P/locations/L/queues/Q". How often and how fast a
	// failing task is repeated is the queue's retry_config: repetition ends
	// only when max_attempts and max_retry_duration are both reached.
	Queue string
	// URL is where tasks are delivered, by POST: "https://host/path" of a
	// Handler. Plain HTTP is refused with a ServiceAccount, but for loopback.
	URL string
	// ServiceAccount is the email of the account whose OIDC token deliveries
	// carry; empty for none. It must be of the queue's project, and the caller
	// needs iam.serviceAccounts.actAs on it. Audience is the token's audience;
	// URL if empty.
	ServiceAccount string
	Audience       string
	// RunTimeout is the receiving Handler's; DefaultRunTimeout if zero. The
	// dispatch deadline is 10 s above it, within Cloud Tasks' 15 s to 30 min.
	RunTimeout time.Duration
	// ClientOptions are passed to Google's client.
	ClientOptions []option.ClientOption
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// CloudTasks is a Queue on Google Cloud Tasks: tasks outlive the process and
// are shared by all instances. The caller needs roles/cloudtasks.enqueuer.
type CloudTasks struct {
	client *cloudtasks.Client
	o      CloudTasksOptions
}

var (
	queueName = regexp.MustCompile(`^projects/[A-Za-z0-9:.-]{1,100}/locations/[a-z0-9-]{1,63}/queues/[A-Za-z0-9-]{1,100}$`)
	email     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}@[A-Za-z0-9.-]{1,128}$`)
)

// NewCloudTasks returns a queue on an existing Cloud Tasks queue. It reports
// every fault of the options together, and does not check that queue, URL and
// account exist.
func NewCloudTasks(ctx context.Context, o CloudTasksOptions) (*CloudTasks, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Audience == "" {
		o.Audience = o.URL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.RunTimeout = orDefault(o.RunTimeout, DefaultRunTimeout)
	client, err := cloudtasks.NewClient(ctx, o.ClientOptions...)
	if err != nil {
		return nil, fmt.Errorf("create Cloud Tasks client: %w", err)
	}
	return &CloudTasks{client: client, o: o}, nil
}

// Close closes the connection.
func (c *CloudTasks) Close() error {
	if err := c.client.Close(); err != nil {
		return fmt.Errorf("close Cloud Tasks client: %w", err)
	}
	return nil
}

// Enqueue implements Queue. It creates the task under the name of its ID, so
// that creating it again is success while Cloud Tasks remembers the name. A
// task over 30 days ahead is ErrInvalid; other errors are upstream.Classify's.
// Without a deadline in ctx the call ends after Google's default of 20 s.
func (c *CloudTasks) Enqueue(ctx context.Context, t Task) error {
	task, err := c.task(t)
	if err != nil {
		return fmt.Errorf("enqueue follow-up: %w", err)
	}
	// The name makes repeating the call safe: what an attempt created whose
	// answer was lost, the next one finds.
	_, err = c.client.CreateTask(ctx, &cloudtaskspb.CreateTaskRequest{Parent: c.o.Queue, Task: task}, upstream.Retry())
	if upstream.Code(err) == codes.AlreadyExists {
		return nil
	}
	return upstream.Classify(fmt.Sprintf("create follow-up task in %q", c.o.Queue), err)
}

// task is t as Cloud Tasks wants it.
func (c *CloudTasks) task(t Task) (*cloudtaskspb.Task, error) {
	body, err := Encode(t)
	if err != nil {
		return nil, err
	}
	ahead := t.At.Sub(c.o.Now())
	if ahead > maxSchedule {
		return nil, fmt.Errorf("%w: over 30 days ahead", ErrInvalid)
	}
	request := &cloudtaskspb.HttpRequest{
		Url:        c.o.URL,
		HttpMethod: cloudtaskspb.HttpMethod_POST,
		Headers:    map[string]string{"Content-Type": "application/json"},
		Body:       body,
	}
	if c.o.ServiceAccount != "" {
		request.AuthorizationHeader = &cloudtaskspb.HttpRequest_OidcToken{OidcToken: &cloudtaskspb.OidcToken{
			ServiceAccountEmail: c.o.ServiceAccount,
			Audience:            c.o.Audience,
		}}
	}
	deadline := min(max(c.o.RunTimeout+dispatchMargin, minDispatchDeadline), maxDispatchDeadline)
	task := &cloudtaskspb.Task{
		Name:             c.o.Queue + "/tasks/" + t.ID(),
		MessageType:      &cloudtaskspb.Task_HttpRequest{HttpRequest: request},
		DispatchDeadline: durationpb.New(deadline),
	}
	if ahead > 0 {
		task.ScheduleTime = timestamppb.New(t.At)
	}
	return task, nil
}

// check returns every fault of the options.
func (o CloudTasksOptions) check() error {
	errs := []error{CheckQueue(o.Queue)}
	if o.ServiceAccount != "" {
		errs = append(errs, CheckServiceAccount(o.ServiceAccount))
	}
	if o.RunTimeout > maxDispatchDeadline-dispatchMargin {
		errs = append(errs, fmt.Errorf("run timeout %s leaves no margin below Cloud Tasks' dispatch deadline of %s", o.RunTimeout, maxDispatchDeadline))
	}
	return errors.Join(append(errs, CheckURL(o.URL, o.ServiceAccount))...)
}

// CheckQueue returns why name cannot be a Cloud Tasks queue's.
func CheckQueue(name string) error {
	if !queueName.MatchString(name) {
		return fmt.Errorf("cloud tasks queue %q is not projects/PROJECT/locations/LOCATION/queues/QUEUE", name)
	}
	return nil
}

// CheckServiceAccount returns why account cannot be a service account's email.
func CheckServiceAccount(account string) error {
	if !email.MatchString(account) {
		return fmt.Errorf("cloud tasks service account %q is not an email address", account)
	}
	return nil
}

// CheckURL returns why tasks cannot be delivered to the URL with a token of the
// account, or with none where it is empty. It does not quote the URL, which may
// have a password in it.
func CheckURL(target, account string) error {
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("cloud tasks URL is not https://HOST/PATH")
	case u.User != nil || u.Fragment != "":
		return errors.New("cloud tasks URL has a user or a fragment")
	case len(target) > maxURL || len(u.String()) > maxURL:
		return fmt.Errorf("cloud tasks URL is over %d characters", maxURL)
	case u.Scheme == "http" && account != "" && !loopback(u.Hostname()):
		return fmt.Errorf("cloud tasks URL is plain HTTP to %q and would carry a token", u.Host)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
