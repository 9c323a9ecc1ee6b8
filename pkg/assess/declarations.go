package assess

// declarations returns the vocabulary: every variable, its type and meaning.
// The order is that of docs/policy.md.
func declarations() []declaration {
	const (
		b = kindBool
		i = kindInt
		s = kindString
		l = kindList
	)
	return []declaration{
		// What Security Command Center said.
		{name: "finding.category", kind: s, doc: "the category as Security Command Center spells it"},
		{name: "finding.category_key", kind: s, doc: "the category folded for comparing: lower-case words, one spelling for each detector"},
		{name: "finding.category_weight", kind: i, scope: inRulesAndDecisions, doc: "the category's row of category_weights, else its default row; in decisions the highest of any member"},
		{name: "finding.severity", kind: s, doc: "CRITICAL, HIGH, MEDIUM, LOW or empty"},
		{name: "finding.malicious_file", kind: b, doc: "the detector calls a file malicious, a program, library or script: how it was started explains nothing"},
		{name: "finding.control_plane", kind: b, doc: "the detector read audit logs: an API call was seen, no process"},
		{name: "finding.processes", kind: i, doc: "number of processes in the finding"},
		{name: "finding.reverse_shell_to", kind: s, doc: "remote end of the redirected input, IP:PORT, or empty"},
		{name: "finding.reverse_shell_public", kind: b, doc: "the remote end is a public address"},
		{name: "finding.bad_url", kind: s, doc: "first URL, domain or address that Security Command Center itself calls an indicator, or empty"},
		{name: "finding.principal", kind: s, doc: "who made the API call of a control-plane finding, or empty"},
		{name: "finding.container_age_seconds", kind: i, unset: -1, doc: "age of the container at the event; -1 when unknown"},

		// The processes of the finding.
		{name: "process.child", kind: s, doc: "file name of the process that raised the finding, or empty"},
		{name: "process.child_path", kind: s, doc: "its full path, or empty"},
		{name: "process.parent", kind: s, doc: "file name of its parent, or empty"},
		{name: "process.child_is_shell", kind: b, doc: "the child is sh, bash, dash, ash, busybox, zsh or ksh"},
		{name: "process.parent_is_shell", kind: b, doc: "the parent is a shell"},
		{name: "process.parent_is_server", kind: b, doc: "the parent is a web server or language runtime that serves requests: java, node, nginx, php-fpm, python, ..."},
		{name: "process.parent_is_init", kind: b, doc: "the parent is a container's init: tini, dumb-init, docker-init, s6, runsc, ..."},
		{name: "process.at_start", kind: b, doc: "the child is process 1, or all its ancestors up to process 1 are inits, package managers or shells that run a script"},
		{name: "process.first_is_configured", kind: b, doc: "process 1, from which the child descends, runs the container's configured command"},
		{name: "process.server_shell", kind: s, doc: "among the child and its ancestors, a shell that a server process started, in words: php-fpm started sh; or empty"},
		{name: "process.fed_shell", kind: s, doc: "among the child's ancestors, a shell that was given neither a command nor a script and started something, in words: sh started whoami; or empty"},
		{name: "process.root", kind: b, doc: "the child runs as user 0"},
		{name: "process.temporary_path", kind: b, doc: "the child's binary or script lies in /tmp, /var/tmp, /dev/shm, /run or a hidden folder"},
		{name: "process.fileless", kind: b, doc: "the child's binary is a memory file (memfd) or was deleted"},

		// What the command line does.
		{name: "command.line", kind: s, doc: "the child's arguments, joined with spaces"},
		{name: "command.behaviors", kind: l, doc: "everything the command line does, strongest first: reverse_shell, download, entrypoint_script, ..."},
		{name: "command.malicious", kind: l, doc: "those behaviours whose very occurrence hardly anybody but an attacker shows"},
		{name: "command.suspicious", kind: l, doc: "those that are rare in a container and common in an attack, the malicious ones included"},
		{name: "command.dangerous", kind: b, doc: "some behaviour is malicious or suspicious"},
		{name: "command.explained", kind: b, doc: "an entrypoint, health check, package script, migration or version check, nothing dangerous, and no mere name: see below"},
		{name: "command.bare_shell", kind: b, doc: "the child is a shell that is given neither a command nor a script"},
		{name: "command.shown", kind: kindTexts, doc: "for each behaviour the text that shows it; use {command.shown[\"miner\"]}"},
		{name: "command.truncated", kind: b, doc: "arguments were cut, so more may follow"},
		{name: "command.missing", kind: b, doc: "the child has no arguments in the finding"},
		{name: "command.matches_config", kind: b, doc: "the command is the one configured for the container"},
		{name: "command.matches_probe", kind: b, doc: "the command is an exec probe of the container"},
		{name: "command.from_config", kind: b, doc: "there is no process: the configured command was read in its place"},

		// What VirusTotal said. All zero unless it answered.
		{name: "virustotal.state", kind: s, doc: "ok, empty, partial, quota, denied, timeout, error, disabled, not_applicable, or empty"},
		{name: "virustotal.malicious", kind: i, doc: "engines that call the worst file malicious"},
		{name: "virustotal.suspicious", kind: i, doc: "engines that call it suspicious"},
		{name: "virustotal.engines", kind: i, doc: "engines that answered for it"},
		{name: "virustotal.verdict", kind: s, doc: "of the worst file: malicious, suspicious, clean, not_found, or empty"},
		{name: "virustotal.label", kind: s, doc: "suggested threat label of it, or empty"},
		{name: "virustotal.path", kind: s, doc: "path of it"},
		{name: "virustotal.binary", kind: s, doc: "verdict on the child's own binary unless that is an ordinary shell or interpreter: malicious, suspicious, clean, not_found, or empty"},
		{name: "virustotal.indicator", kind: s, doc: "address, domain or URL that VirusTotal calls malicious, defanged, the worst of several; or empty. Asked with VT_LOOKUPS=files,indicators"},
		{name: "virustotal.indicator_engines", kind: i, doc: "engines that call it malicious"},
		{name: "virustotal.other_indicators", kind: i, doc: "how many more are called malicious"},
		{name: "virustotal.suspicious_indicator", kind: s, doc: "the worst that VirusTotal calls suspicious, or empty"},

		// How the workload is configured. All zero unless it could be read.
		{name: "config.state", kind: s, doc: "state of the source, as for virustotal.state"},
		{name: "config.known", kind: b, doc: "the configuration was read and the workload still exists"},
		{name: "config.gone", kind: b, doc: "the workload no longer exists"},
		{name: "config.kind", kind: s, doc: "service, job, worker_pool, or empty"},
		{name: "config.exposure", kind: s, scope: inRulesAndDecisions, doc: "public, authenticated, internal, not_applicable or unknown; in decisions the widest known of any member"},
		{name: "config.risks", kind: l, doc: "weak points of the configuration, the closed set of the config_risks mark"},
		{name: "config.service_account", kind: s, doc: "e-mail of the identity, or empty"},
		{name: "config.default_service_account", kind: b, doc: "it is the Compute Engine default service account"},
		{name: "config.env", kind: l, doc: "names of the container's configured environment variables"},
		{name: "config.secrets", kind: i, doc: "secrets the container can read, from environment and volumes"},
		{name: "config.overridden_args", kind: b, doc: "the execution runs with other arguments than its job's template"},
		{name: "config.run_by", kind: s, doc: "who started the execution, or empty"},
		{name: "config.run_by_person", kind: b, doc: "it was a person, not a service account"},
		{name: "config.run_by_owner", kind: b, doc: "it was the person who created the job; who only changed it may have done so for this"},
		{name: "config.changed", kind: l, doc: "what changed with the last revision: image, command, args, env, service_account, ingress, scaling"},

		// The deploy before the event, from audit logs and the revision.
		{name: "deploy.minutes", kind: i, unset: -1, doc: "minutes between the last deploy and the event; -1 when unknown"},
		{name: "deploy.by", kind: s, doc: "who deployed, or empty"},
		{name: "deploy.newcomer", kind: b, doc: "who deployed is neither the workload's creator nor who made the revision before, or is the workload's own identity"},

		{name: "deploy.off_hours", kind: b, doc: "it was from 20:00 to 06:00 or on a Saturday or Sunday, in WORKING_TIME_ZONE"},

		// What the logs say.
		{name: "logs.state", kind: s, doc: "state of the source, as for virustotal.state"},
		{name: "logs.visible", kind: b, doc: "some entry of the workload could be read; false says nothing about what happened"},
		{name: "logs.signals", kind: kindCounts, doc: "telling things in the logs and how often; use \"shell_output\" in logs.signals"},
		{name: "logs.request_signals", kind: s, doc: "those of the signals that were seen in requests, in words, or empty"},
		{name: "logs.entry_request", kind: s, doc: "the request just before the event that may have caused it, or empty"},
		{name: "logs.request_denied", kind: b, doc: "the API call of a control-plane finding was refused"},

		// What became of the same before: same detector, workload, image, parent,
		// program and command line, apart from numbers and names of data files.
		{name: "history.seen", kind: i, doc: "how often the same was found on this workload in the 30 days up to a day before, without an incident: judged neither suspicious nor worse, or closed or muted"},
		{name: "history.days", kind: i, doc: "on how many days that was"},
		{name: "history.closed_days", kind: i, doc: "on how many of them a person closed or muted it"},
		{name: "history.first", kind: s, doc: "the first of these days, 2026-03-01, or empty"},
		{name: "history.last", kind: s, doc: "the last of these days, or empty"},
		{name: "history.attacks", kind: i, doc: "how often the same was judged malicious or likely malicious"},
		{name: "history.last_attack", kind: s, doc: "the last day of these, or empty"},
		{name: "history.new_host", kind: s, doc: "a host that the command line names and did not name before, defanged, or empty"},

		{name: "incident.state", kind: s, doc: "state of the source of related findings, as for virustotal.state"},

		// The incident. All zero when the finding stands alone.
		{name: "incident.others", kind: i, scope: inIncident, doc: "number of other findings of the incident"},
		{name: "incident.categories", kind: l, scope: inIncident, doc: "categories of all its findings, each once, sorted"},
		{name: "incident.tactics", kind: l, scope: inIncident, doc: "ATT&CK tactics of all its findings, each once, in order of the kill chain"},
		{name: "incident.strongest_score", kind: i, scope: inIncident, doc: "the highest own score of its findings"},
		{name: "incident.strongest_category", kind: s, scope: inIncident, doc: "category of the finding that has it; of several the first by name"},
		{name: "own_score", kind: i, scope: inIncident, doc: "0 to 100, the finding alone; in decisions that of the strongest member"},

		// Known only once the points are added up. Within an incident the same for
		// every member.
		{name: "score", kind: i, scope: inDecisions, doc: "0 to 100, within the incident"},
		{name: "decisive", kind: b, scope: inDecisions, doc: "a decisive rule fired; within an incident one that added points to any member"},
		{name: "reasons", kind: l, scope: inDecisions, doc: "ids of the rules that fired; within an incident those of any member that added or took off points"},
		{name: "explained_points", kind: i, scope: inDecisions, doc: "points that explanations took off, positive; 0 when a decisive rule fired; within an incident the least of any member"},
		{name: "severity", kind: s, scope: inDecisions, doc: "CRITICAL, HIGH, MEDIUM, LOW or empty; within an incident the gravest"},
		{name: "unanswered", kind: l, scope: inDecisions, doc: "sources whose silence could hide the truth, of any member: findings, logs, config, virustotal, arguments, processes, policy"},
		{name: "retry", kind: b, scope: inDecisions, doc: "some source may answer when asked again"},
		{name: "verdict", kind: s, scope: inDecisions, doc: "the verdict; empty while verdicts are decided"},
		{name: "privileged", kind: b, scope: inDecisions, doc: "the workload runs as the default service account or can read secrets"},
	}
}
