// Runs the BigQuery views on sample rows and prints what they return, as JSON:
//   node run.mjs FOLDER_OF_VIEWS FIXTURES.json
//
// Each view is parsed by sqlglot in BigQuery's dialect and written for DuckDB
// (transpile.py), then run in DuckDB on tables of the shape that Security Command
// Center's export and Pub/Sub's BigQuery subscription write.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const here = import.meta.dirname;
// The packages may lie outside the checkout: NODE_PACKAGES names their folder.
const require = createRequire(path.join(process.env.NODE_PACKAGES ?? here, "x.js"));
const { DuckDBInstance } = require("@duckdb/node-api");

const [views, fixtures] = process.argv.slice(2);
const data = JSON.parse(readFileSync(fixtures, "utf8"));
// In the order in which they build on each other.
const order = ["enriched", "enrichments", "open_incidents", "time_to_enrich", "top_workloads", "coverage_gaps", "analyst_workload"];

const db = await (await DuckDBInstance.create(":memory:")).connect();
await db.run(`CREATE TABLE findings (
  source_id VARCHAR, finding_id VARCHAR, event_time TIMESTAMP,
  finding STRUCT(canonical_name VARCHAR, category VARCHAR, severity VARCHAR, state VARCHAR, mute VARCHAR,
    mute_update_time TIMESTAMP, parent_display_name VARCHAR, resource_name VARCHAR, finding_class VARCHAR,
    security_marks STRUCT("key" VARCHAR, "value" VARCHAR)[]),
  resource STRUCT(project_display_name VARCHAR))`);
await db.run(`CREATE TABLE records (subscription_name VARCHAR, message_id VARCHAR, publish_time TIMESTAMP, data JSON, attributes JSON)`);

const text = (v) => (v === undefined || v === null ? "NULL" : `'${String(v).replaceAll("'", "''")}'`);
const time = (v) => (v ? `TIMESTAMP ${text(v.replace("Z", ""))}` : "NULL::TIMESTAMP");
for (const f of data.findings) {
  const marks = Object.entries(f.marks ?? {}).map(([k, v]) => `{'key': ${text(k)}, 'value': ${text(v)}}`);
  await db.run(`INSERT INTO findings VALUES (${text(f.source ?? "100")}, ${text(f.id)}, ${time(f.event_time)},
    {'canonical_name': ${text(`projects/7/sources/100/locations/global/findings/${f.id}`)}, 'category': ${text(f.category)},
     'severity': ${text(f.severity ?? "HIGH")}, 'state': ${text(f.state ?? "ACTIVE")}, 'mute': ${text(f.mute)},
     'mute_update_time': ${time(f.mute_update_time)}, 'parent_display_name': ${text(f.detector ?? "Cloud Run Threat Detection")},
     'resource_name': ${text(f.resource)}, 'finding_class': ${text(f.class ?? "THREAT")},
     'security_marks': [${marks.join(", ")}]::STRUCT("key" VARCHAR, "value" VARCHAR)[]},
    {'project_display_name': ${text("shop")}})`);
}
for (const r of data.records) {
  await db.run(`INSERT INTO records VALUES ('s', ${text(r.message_id)}, ${time(r.publish_time)}, ${text(JSON.stringify(r.data))}, '{}')`);
}

const out = {};
for (const name of order) {
  const sql = readFileSync(path.join(views, `${name}.sql`), "utf8").replace(/\$\{([a-z_]+)\}/g, "$1");
  const duck = execFileSync(process.env.PYTHON ?? "/usr/bin/python3", [path.join(here, "transpile.py")], { input: sql, encoding: "utf8" });
  try {
    await db.run(`CREATE VIEW "${name}" AS ${duck}`);
    out[name] = (await db.runAndReadAll(`SELECT * FROM "${name}"`)).getRowObjectsJson();
  } catch (e) {
    throw new Error(`${name}: ${e.message}\n${duck}`);
  }
}
process.stdout.write(JSON.stringify(out));
