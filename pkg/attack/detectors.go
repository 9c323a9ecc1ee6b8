package attack

// The kinds of detectors.
const (
	runtimeDetector      = 'r' // Cloud Run Threat Detection, a watcher inside the container
	controlPlaneDetector = 'c' // Event Threat Detection, from audit logs
)

// detector is one finding category of Cloud Run Threat Detection or of Event
// Threat Detection's Cloud Run rules.
type detector struct {
	kind rune
	// category is the display name that findings carry.
	category string
	// module is the name in the Security Center Management API.
	module string
	// tactics and techniques are ids separated by spaces.
	tactics, techniques string
	// slug is the last part of the finding's page, or empty when it has none we know.
	slug string
}

// detectorTable lists the detectors of
// https://docs.cloud.google.com/security-command-center/docs/cloud-run-threat-detection-overview
// (April 2026), those removed since whose findings can still be listed, and
// newer ones known from Container Threat Detection. Where the finding's page
// names techniques they are taken from there; the others are this project's
// reading of what the detector sees.
var detectorTable = []detector{
	{'r', "Command and Control: Steganography Tool Detected", "CLOUD_RUN_STEGANOGRAPHY_TOOL_DETECTED", "TA0011", "T1001.002 T1027.003", ""},
	{'r', "Credential Access: Find Google Cloud Credentials", "CLOUD_RUN_FIND_GCP_CREDENTIALS", "TA0006", "T1552.001", ""},
	{'r', "Credential Access: GPG Key Reconnaissance", "CLOUD_RUN_GPG_KEY_RECONNAISSANCE", "TA0006", "T1552.004", ""},
	{'r', "Credential Access: Search Private Keys or Passwords", "CLOUD_RUN_SEARCH_PRIVATE_KEYS_OR_PASSWORDS", "TA0006", "T1552.001 T1552.004", ""},
	{'r', "Defense Evasion: Base64 ELF File Command Line", "CLOUD_RUN_BASE64_ELF_FILE_CMDLINE", "TA0005", "T1027 T1140", ""},
	{'r', "Defense Evasion: Base64 Encoded Python Script Executed", "CLOUD_RUN_BASE64_ENCODED_PYTHON_SCRIPT_EXECUTED", "TA0005", "T1027.010 T1059.006", ""},
	{'r', "Defense Evasion: Base64 Encoded Shell Script Executed", "CLOUD_RUN_BASE64_ENCODED_SHELL_SCRIPT_EXECUTED", "TA0005", "T1027.010 T1059.004", ""},
	{'r', "Defense Evasion: Launch Code Compiler Tool In Container", "CLOUD_RUN_LAUNCH_CODE_COMPILER_TOOL_IN_CONTAINER", "TA0005", "T1027.004", ""},
	{'r', "Execution: Added Malicious Binary Executed", "CLOUD_RUN_ADDED_MALICIOUS_BINARY_EXECUTED", "TA0002", "T1105 T1106", "cloud-run-added-malicious-binary-executed"},
	{'r', "Execution: Added Malicious Library Loaded", "CLOUD_RUN_ADDED_MALICIOUS_LIBRARY_LOADED", "TA0002", "T1105 T1129", "cloud-run-added-malicious-library-loaded"},
	{'r', "Execution: Built in Malicious Binary Executed", "CLOUD_RUN_BUILT_IN_MALICIOUS_BINARY_EXECUTED", "TA0002", "T1105 T1106 T1195", ""},
	{'r', "Execution: Container Escape", "CLOUD_RUN_CONTAINER_ESCAPE", "TA0002 TA0004", "T1611", "cloud-run-container-escape"},
	{'r', "Execution: Fileless Execution in /memfd:", "CLOUD_RUN_FILELESS_EXECUTION_DETECTION_MEMFD", "TA0002", "T1620", ""},
	{'r', "Execution: Kubernetes Attack Tool Execution", "CLOUD_RUN_KUBERNETES_ATTACK_TOOL_EXECUTION", "TA0002", "T1609 T1613", ""},
	{'r', "Execution: Local Reconnaissance Tool Execution", "CLOUD_RUN_LOCAL_RECONNAISSANCE_TOOL_EXECUTION", "TA0002 TA0007", "T1046 T1057 T1083", "cloud-run-local-reconnaissance-tool-execution"},
	{'r', "Execution: Malicious Python executed", "CLOUD_RUN_MALICIOUS_PYTHON_EXECUTED", "TA0002", "T1059.006 T1105", "cloud-run-malicious-python-executed"},
	{'r', "Execution: Modified Malicious Binary Executed", "CLOUD_RUN_MODIFIED_MALICIOUS_BINARY_EXECUTED", "TA0002", "T1105 T1106", "cloud-run-modified-malicious-binary-executed"},
	{'r', "Execution: Modified Malicious Library Loaded", "CLOUD_RUN_MODIFIED_MALICIOUS_LIBRARY_LOADED", "TA0002", "T1105 T1129", "cloud-run-modified-malicious-library-loaded"},
	{'r', "Execution: Netcat Remote Code Execution in Container", "CLOUD_RUN_NETCAT_REMOTE_CODE_EXECUTION_IN_CONTAINER", "TA0002", "T1059.004", ""},
	{'r', "Execution: Possible Arbitrary Command Execution through CUPS (CVE-2024-47076)", "CLOUD_RUN_POSSIBLE_ARBITRARY_COMMAND_EXECUTION_THROUGH_CUPS", "TA0002", "T1203", ""},
	{'r', "Execution: Possible Remote Command Execution Detected", "CLOUD_RUN_POSSIBLE_REMOTE_COMMAND_EXECUTION_DETECTED", "TA0002", "T1059", ""},
	{'r', "Execution: Program Run with Disallowed HTTP Proxy Env", "CLOUD_RUN_PROGRAM_RUN_WITH_DISALLOWED_HTTP_PROXY_ENV", "TA0002", "T1090", ""},
	{'r', "Execution: Socat Reverse Shell Detected", "CLOUD_RUN_SOCAT_REVERSE_SHELL_DETECTED", "TA0002", "T1059.004", ""},
	{'r', "Execution: Suspicious OpenSSL Shared Object Loaded", "CLOUD_RUN_SUSPICIOUS_OPENSSL_SHARED_OBJECT_LOADED", "TA0002", "T1129 T1574.006", ""},
	{'r', "Exfiltration: Launch Remote File Copy Tools in Container", "CLOUD_RUN_LAUNCH_REMOTE_FILE_COPY_TOOLS_IN_CONTAINER", "TA0010", "T1020 T1105", ""},
	{'r', "Impact: Detect Malicious Cmdlines", "CLOUD_RUN_DETECT_MALICIOUS_CMDLINES", "TA0040", "T1485", ""},
	{'r', "Impact: Remove Bulk Data From Disk", "CLOUD_RUN_REMOVE_BULK_DATA_FROM_DISK", "TA0040", "T1070.004 T1485", ""},
	{'r', "Impact: Suspicious cryptocurrency mining activity using the Stratum Protocol", "CLOUD_RUN_SUSPICIOUS_CRYPTO_MINING_ACTIVITY_USING_STRATUM_PROTOCOL", "TA0040", "T1496", "cloud-run-detect-crypto-miners-using-stratum-protocol"},
	{'r', "Malicious Script Executed", "CLOUD_RUN_MALICIOUS_SCRIPT_EXECUTED", "TA0002", "T1059.004 T1105", ""},
	{'r', "Malicious URL Observed", "CLOUD_RUN_MALICIOUS_URL_OBSERVED", "TA0011", "T1105", "cloud-run-malicious-url-observed"},
	{'r', "Privilege Escalation: Abuse of Sudo For Privilege Escalation (CVE-2019-14287)", "CLOUD_RUN_ABUSE_SUDO_FOR_PRIVILEGE_ESCALATION", "TA0004", "T1548.003", ""},
	{'r', "Privilege Escalation: Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)", "CLOUD_RUN_POLKIT_LOCAL_PRIVILEGE_ESCALATION_VULNERABILITY", "TA0004", "T1068", ""},
	{'r', "Privilege Escalation: Sudo Potential Privilege Escalation (CVE-2021-3156)", "CLOUD_RUN_SUDO_POTENTIAL_PRIVILEGE_ESCALATION", "TA0004", "T1068 T1548.003", ""},
	{'r', "Reverse Shell", "CLOUD_RUN_REVERSE_SHELL", "TA0002 TA0011", "T1059.004 T1071", "cloud-run-reverse-shell"},
	{'r', "Unexpected Child Shell", "CLOUD_RUN_UNEXPECTED_CHILD_SHELL", "TA0002", "T1059.004", "cloud-run-unexpected-child-shell"},

	// Removed on 16 March 2026; its findings stay listable.
	{'r', "Privilege Escalation: Fileless Execution in /dev/shm", "CLOUD_RUN_FILELESS_EXECUTION_DETECTION_SHM", "TA0004", "T1055", ""},
	// Known from Container Threat Detection.
	{'r', "Command and Control: Piped Encoded Download", "CLOUD_RUN_PIPED_ENCODED_DOWNLOAD", "TA0011", "T1105 T1132", ""},
	{'r', "Command and Control: Piped Encoded Code Execution Detected", "CLOUD_RUN_PIPED_ENCODED_CODE_EXECUTION_DETECTED", "TA0002 TA0011", "T1059.004 T1132", ""},

	{'c', "Impact: Cryptomining Commands", "CLOUD_RUN_JOBS_CRYPTOMINING_COMMANDS", "TA0040", "T1496", "cloud-run-jobs-cryptomining-commands"},
	{'c', "Execution: Cryptomining Docker Image", "CLOUD_RUN_CRYPTOMINING_DOCKER_IMAGES", "TA0002 TA0040", "T1496 T1610", ""},
	{'c', "Privilege Escalation: Default Compute Engine Service Account SetIAMPolicy", "CLOUD_RUN_SERVICES_SET_IAM_POLICY", "TA0004", "T1078.001 T1098.003", ""},
}
