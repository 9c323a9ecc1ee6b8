# Every Cloud Run finding of an organisation.

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

variable "region" {
  description = "Region of the service."
  type        = string
  default     = "europe-west1"
}

variable "organization_id" {
  description = "Number of the organisation."
  type        = string
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

variable "oncall_email" {
  description = "Where alerts go."
  type        = string
}

resource "google_monitoring_notification_channel" "oncall" {
  project      = var.project_id
  display_name = "SCC enricher on call"
  type         = "email"
  labels = {
    email_address = var.oncall_email
  }
}

module "scc_enricher" {
  source = "../.."

  project_id                = var.project_id
  region                    = var.region
  image                     = var.image
  scc_parent                = "organizations/${var.organization_id}"
  notification_channels     = [google_monitoring_notification_channel.oncall.name]
  virustotal_secret_version = var.virustotal_secret_version
}

output "scc_enricher" {
  description = "Everything the module tells."
  value       = module.scc_enricher
}
