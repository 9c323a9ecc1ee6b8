package command

import (
	"path"
	"strings"
)

// benign says what a command is when it is ordinary. These hits explain; they
// never take away another one.
func (s *scan) benign(n *node) {
	if isVersionCheck(n) {
		s.hit(VersionCheck, Benign, n.text)
		return
	}
	if isEntrypoint(n) {
		s.hit(EntrypointScript, Benign, n.text)
	}
	if words := handedOn(n); len(words) > 0 {
		s.rewrap(n, words, true)
	}
	if isHealthCheck(n) {
		s.hit(HealthCheck, Benign, n.text)
	}
	if isMigration(n) {
		s.hit(Migration, Benign, n.text)
	} else if isPackageScript(n) {
		s.hit(PackageScript, Benign, n.text)
	}
}

// isEntrypoint: init processes, and shells that run a script of the image.
func isEntrypoint(n *node) bool {
	if isOneOf(n.name, "tini tini-static dumb-init catatonit docker-init s6-svscan supervisord runsvdir pid1 entrypoint entrypoint.sh docker-entrypoint.sh") || n.name == "exec" && n.has("$@") {
		return true
	}
	file := n.path
	if isShell(n.name) {
		v := shellArgs(n.args)
		if v.hasScript {
			return false
		}
		file = v.file
	}
	return isStartScript(file, isShell(n.name))
}

// handedOn are the words that an entrypoint script is given and runs in the
// end, as entrypoints do with exec "$@"; its own options before them are not
// among them.
func handedOn(n *node) []string {
	var words []string
	v := invocation{}
	if isShell(n.name) {
		v = shellArgs(n.args)
	}
	switch {
	case v.hasScript:
		if len(v.rest) > 1 && (strings.Contains(v.script, "$@") || strings.Contains(v.script, "$*")) {
			words = v.rest[1:] // the first is the script's $0
		}
	case isShell(n.name) && isStartScript(v.file, true):
		words = v.rest
	case !isShell(n.name) && isStartScript(n.path, false):
		words = n.args
	}
	for i, w := range words {
		if w != "" && !strings.HasPrefix(w, "-") && !strings.Contains(w, "$@") {
			return words[i:]
		}
	}
	return nil
}

// isStartScript reports whether a file looks like an image's entrypoint script:
// by its name, and not where a running application puts the files of others.
func isStartScript(file string, byShell bool) bool {
	if file == "" || isTempPath(file) || isHiddenPath(file) || isDropPath(file) || strings.HasPrefix(file, "<(") {
		return false
	}
	b := strings.ToLower(path.Base(file))
	if strings.Contains(file, "docker-entrypoint.d/") || strings.Contains(b, "entrypoint") {
		return true
	}
	stem := strings.TrimSuffix(b, path.Ext(b))
	return (path.Ext(b) == ".sh" || byShell && path.Ext(b) == "") && isOneOf(stem[:len(stem)-len(strings.TrimLeft(stem, "abcdefghijklmnopqrstuvwxyz"))], "start run init boot bootstrap launch serve server docker setup startup wait prestart main app cron cronjob backup catalina")
}

// isDropPath reports whether a file lies in a folder that an application
// serves or fills with what it is sent.
func isDropPath(file string) bool {
	for dir := range strings.SplitSeq(strings.ToLower(path.Dir(file)), "/") {
		switch dir {
		case "upload", "uploads", "media", "static", "public", "htdocs", "html", "www", "webapps", "attachments", "cache", "downloads", "wp-content", "images":
			return true
		}
	}
	return false
}

func isVersionCheck(n *node) bool {
	if len(n.args) == 0 || len(n.args) > 3 {
		return false
	}
	for _, a := range n.args {
		if !isOneOf(a, "--version -version -V version -v --client --short -V: -version:") {
			return false
		}
	}
	return n.args[0] != "-v" || isOneOf(n.name, "node java nginx php ruby perl npm go yarn docker httpd apache2 pip python")
}

func isHealthCheck(n *node) bool {
	switch n.name {
	case "pg_isready", "grpc_health_probe", "grpc-health-probe", "mysqladmin", "healthcheck", "healthcheck.sh", "rabbitmq-diagnostics", "rabbitmqctl", "varnishadm", "pgrep", "zkServer.sh", "nodetool", "kafka-topics.sh", "kafka-broker-api-versions.sh", "consul", "etcdctl", "celery", "cqlsh", "pidof", "wait-for-it", "wait-for-it.sh", "wait-for", "wait-for.sh", "dockerize", "supervisorctl", "cgi-fcgi", "curl-healthcheck", "test", "[":
		return n.name != "celery" || n.has("inspect", "status")
	case "redis-cli", "valkey-cli":
		return n.has("ping", "PING", "info")
	case "mongosh", "mongo":
		return n.argContains("ping", "isMaster", "hello()")
	case "mysql", "psql":
		return n.argContains("SELECT 1", "select 1", `\q`, `\l`)
	case "nginx", "apache2ctl", "httpd", "apachectl":
		return n.has("-t", "configtest")
	case "kill":
		return n.has("-0")
	}
	return false
}

func isMigration(n *node) bool {
	if databaseClients()[n.name] {
		return true
	}
	line := n.line()
	if len(line) > 4096 || !containsAny(line, "migrat", "db", "alembic", "liquibase", "flyway", "goose", "database", "drizzle", "aerich", "collectstatic") {
		return false
	}
	return containsAny(line, "manage.py migrate", "db:migrate", "alembic upgrade", "prisma migrate", "prisma db", "sequelize db:", "sequelize-cli db:", "knex migrate", "artisan migrate", "typeorm migration", "flask db upgrade", "migrate -path", "liquibase", "flyway", "goose ", "dbmate", "db:prepare", "db:setup", "db:seed", "doctrine:migrations", "ef database update", "drizzle-kit", "aerich upgrade", "migration:run", "migrate up", "collectstatic", "db:create", "migrate:latest", "migrate:deploy")
}

var databaseClients = nameSet("pg_dump pg_dumpall pg_restore mysqldump mongodump mongorestore psql mysql mariadb mariadb-dump redis-cli sqlite3 initdb pg_ctl mysqld_safe gosu")

func isPackageScript(n *node) bool {
	if l := language(n.name); l != nil && l.name != "node" && (n.codeOf(l) != "" || len(n.args) > 0 && isTempPath(n.args[0])) {
		return false // a line of code, or a file that somebody dropped, belongs to no package
	}
	switch n.name {
	case "npm", "yarn", "pnpm", "npx", "bun", "pnpx", "corepack", "composer", "bundle", "rails", "rake", "puma", "unicorn", "gunicorn", "uvicorn", "hypercorn", "daphne", "celery", "flask", "django-admin", "streamlit", "uwsgi", "waitress-serve", "next", "nuxt", "vite", "webpack", "tsc", "ts-node", "tsx", "nodemon", "pm2", "pm2-runtime", "serve", "http-server", "jest", "vitest", "mocha", "eslint", "prettier", "react-scripts", "ng", "nest", "php-fpm", "apache2-foreground", "httpd", "nginx", "caddy", "java", "dotnet", "mvn", "gradle", "gradlew", "mix", "sbt", "poetry", "pipenv", "uv", "turbo", "lerna", "nx", "husky", "lint-staged", "cross-env", "dotenv", "rimraf", "mvnw", "patch-package", "concurrently", "mysqld", "postgres", "redis-server", "mongod", "php", "node", "ruby", "python", "deno", "catalina.sh", "supervisord", "cron", "crond", "rollup", "esbuild", "parcel", "babel", "gulp", "grunt", "prisma", "storybook", "playwright", "cypress", "expo", "wrangler", "firebase", "tox", "pytest", "nox", "fastapi", "granian", "cloud-sql-proxy", "cloud_sql_proxy", "jupyter", "mlflow", "airflow", "dagster", "prefect", "superset", "envsubst", "vue-cli-service", "svelte-kit", "astro", "remix", "gatsby", "hexo", "docusaurus", "nodejs":
		return true
	}
	return false
}

// explain adds the shell wrapper: a shell whose whole text is one program.
func (s *scan) explain() {
	plain := 0
	var only *node
	for _, n := range s.simple {
		switch {
		case n.captured > 0:
		case n.path == "" || isOneOf(n.name, "cd export set exec umask ulimit source . true : trap echo printf mkdir wait"):
			if n.name == "exec" && len(n.args) > 0 {
				plain++
				only = n
			}
		default:
			plain++
			only = n
		}
	}
	if plain != 1 || len(only.from) > 0 || len(only.to) > 0 || s.worst() >= Suspicious {
		return
	}
	if only.name == "exec" || isPackageScript(only) || isMigration(only) || isApplication(only.path) {
		s.hit(ShellWrapper, Benign, only.text)
	}
}

// isApplication reports whether a program lies where an image keeps its own.
func isApplication(p string) bool {
	for _, d := range [...]string{"/app/", "/usr/local/bin/", "/opt/", "/srv/", "/usr/src/", "/workspace/", "./"} {
		if strings.HasPrefix(p, d) {
			return !isHiddenPath(p)
		}
	}
	return strings.HasPrefix(p, "/") && strings.Count(p, "/") == 1
}
