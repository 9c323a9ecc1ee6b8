package emulator

import (
	"fmt"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// WorkloadSpec describes a Cloud Run workload for AddService, AddJob and
// AddWorkerPool. Only Project, Location and Name are required.
type WorkloadSpec struct {
	Project, Location, Name string
	// Revision is the short name of the serving revision, or of a job's latest
	// execution; the default is the name with "-00001-abc".
	Revision string
	// Created is when the revision or execution was; the default is now.
	Created time.Time
	// Creator is who deployed or ran it.
	Creator string
	// Image is the first container's; Container its name, "app" by default.
	Image, Container string
	Args             []string
	// ServiceAccount is empty for the default Compute Engine account.
	ServiceAccount string
	// Ingress is that of a service; the default is all.
	Ingress runpb.IngressTraffic
	// Public adds roles/run.invoker for allUsers.
	Public bool
	// Env are plaintext variables.
	Env map[string]string
}

// resource is the API name of the workload.
func (s WorkloadSpec) resource(collection string) string {
	return fmt.Sprintf("projects/%s/locations/%s/%s/%s", s.Project, s.Location, collection, s.Name)
}

func (s WorkloadSpec) withDefaults(now time.Time) WorkloadSpec {
	setDefault(&s.Revision, s.Name+"-00001-abc")
	setDefault(&s.Created, now)
	setDefault(&s.Creator, "deployer@example.com")
	setDefault(&s.Image, "europe-west1-docker.pkg.dev/"+s.Project+"/apps/"+s.Name+":v1")
	setDefault(&s.Container, "app")
	setDefault(&s.Ingress, runpb.IngressTraffic_INGRESS_TRAFFIC_ALL)
	return s
}

func (s WorkloadSpec) containers() []*runpb.Container {
	c := &runpb.Container{Name: s.Container, Image: s.Image, Args: s.Args}
	for name, value := range s.Env {
		c.Env = append(c.Env, &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_Value{Value: value}})
	}
	return []*runpb.Container{c}
}

// AddService adds a service and one revision that serves all its traffic, and
// returns the full resource name that a finding has.
func (w *World) AddService(s WorkloadSpec) string {
	s = s.withDefaults(w.now())
	name := s.resource("services")
	revision := name + "/revisions/" + s.Revision
	at := timestamppb.New(s.Created)
	w.PutRun(&runpb.Revision{
		Name: revision, Service: s.Name, CreateTime: at, Creator: s.Creator, ServiceAccount: s.ServiceAccount, Containers: s.containers(),
		ExecutionEnvironment: runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2,
	}, &runpb.Service{
		Name: name, CreateTime: at, UpdateTime: at, Creator: s.Creator, LastModifier: s.Creator, Ingress: s.Ingress, ThreatDetectionEnabled: true,
		LatestReadyRevision: revision, LatestCreatedRevision: revision,
		Template: &runpb.RevisionTemplate{
			Containers: s.containers(), ServiceAccount: s.ServiceAccount, Timeout: durationpb.New(300 * time.Second),
			ExecutionEnvironment: runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2,
		},
		TrafficStatuses: []*runpb.TrafficTargetStatus{{Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, Revision: s.Revision, Percent: 100}},
	})
	if s.Public {
		w.SetIAMPolicy(name, &iampb.Policy{Version: 1, Bindings: []*iampb.Binding{{Role: "roles/run.invoker", Members: []string{"allUsers"}}}})
	}
	return "//run.googleapis.com/" + name
}

// AddJob adds a job and one execution of it, and returns the full resource
// name of the job.
func (w *World) AddJob(s WorkloadSpec) string {
	s = s.withDefaults(w.now())
	name := s.resource("jobs")
	at := timestamppb.New(s.Created)
	task := &runpb.TaskTemplate{Containers: s.containers(), ServiceAccount: s.ServiceAccount}
	w.PutRun(&runpb.Execution{Name: name + "/executions/" + s.Revision, Job: s.Name, CreateTime: at, StartTime: at, Creator: s.Creator, Template: task}, &runpb.Job{
		Name: name, CreateTime: at, UpdateTime: at, Creator: s.Creator, LastModifier: s.Creator, ExecutionCount: 1,
		Template: &runpb.ExecutionTemplate{TaskCount: 1, Template: task}, LatestCreatedExecution: &runpb.ExecutionReference{Name: s.Revision, CreateTime: at},
	})
	return "//run.googleapis.com/" + name
}

// AddWorkerPool adds a worker pool and one revision, and returns its full
// resource name.
func (w *World) AddWorkerPool(s WorkloadSpec) string {
	s = s.withDefaults(w.now())
	name := s.resource("workerPools")
	revision := name + "/revisions/" + s.Revision
	at := timestamppb.New(s.Created)
	w.PutRun(&runpb.Revision{Name: revision, CreateTime: at, Creator: s.Creator, ServiceAccount: s.ServiceAccount, Containers: s.containers()}, &runpb.WorkerPool{
		Name: name, CreateTime: at, UpdateTime: at, Creator: s.Creator, LastModifier: s.Creator, ThreatDetectionEnabled: true,
		LatestReadyRevision: revision, LatestCreatedRevision: revision,
		Template: &runpb.WorkerPoolRevisionTemplate{Containers: s.containers(), ServiceAccount: s.ServiceAccount},
	})
	return "//run.googleapis.com/" + name
}
