package finding

// Kind is the kind of a Cloud Run workload.
type Kind string

// The kinds of Cloud Run workloads that findings name.
const (
	Service    Kind = "service"
	Job        Kind = "job"
	WorkerPool Kind = "worker_pool"
)

// Workload names a Cloud Run service, job or worker pool, and the revision or
// execution where the finding tells it.
type Workload struct {
	// Project is the project id where it is known, else the project number.
	Project  string
	Location string
	Kind     Kind
	Name     string
	// Revision is the revision of a service or worker pool, or empty.
	Revision string
	// Execution is the execution of a job, or empty.
	Execution string
}
