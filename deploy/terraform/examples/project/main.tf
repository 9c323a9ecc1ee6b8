# One project, where Security Command Center is activated for the project only.
# The enricher runs in another one.

terraform {
  required_version = ">= 1.9.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region

  # Security Command Center bills quota to a project; a user's own credentials
  # name none.
  user_project_override = true
  billing_project       = var.project_id
}

variable "project_id" {
  description = "Project that runs the enricher."
  type        = string
}

variable "watched_project_id" {
  description = "Project whose Cloud Run findings are enriched."
  type        = string
}

variable "region" {
  description = "Region of the service."
  type        = string
  default     = "europe-west1"
}

variable "image" {
  description = "Container image by digest."
  type        = string
}

variable "virustotal_secret_version" {
  description = "Version of the VirusTotal key's secret, once it is there; empty: VirusTotal is disabled."
  type        = string
  default     = ""
}

module "scc_enricher" {
  source = "../.."

  project_id                = var.project_id
  region                    = var.region
  image                     = var.image
  scc_parent                = "projects/${var.watched_project_id}"
  virustotal_secret_version = var.virustotal_secret_version

  # Small: nothing runs while nothing happens, and no BigQuery.
  min_instances = 0
  max_instances = 1
  records       = { enabled = false }
}

output "scc_enricher" {
  description = "Everything the module tells."
  value       = module.scc_enricher
}
