"""Turns BigQuery SQL into DuckDB SQL: reads it on standard input, writes it out.

sqlglot parses BigQuery's dialect and writes DuckDB's. What this old release of
it (Debian's python3-sqlglot) leaves as it is, is rewritten here on the syntax
tree, each rewrite with the same meaning in both engines. Whatever it cannot
parse, or DuckDB cannot bind, fails the test.
"""
import sys

import sqlglot
from sqlglot import exp

# The sample rows stand still, and so does the clock.
NOW = "TIMESTAMP '2026-11-22 12:00:00'"
TYPES = {"INT64": "BIGINT", "TIMESTAMP": "TIMESTAMP"}


def sql(node):
    return node.sql(dialect="duckdb")


def raw(text):
    """A node that is written as it is."""
    return exp.Var(this=text)


def rewrite(node):
    if isinstance(node, exp.CurrentTimestamp):
        return raw(NOW)
    if isinstance(node, exp.TimestampSub):
        return raw(f"({sql(walk(node.this))} - INTERVAL {sql(node.expression)} {node.text('unit')})")
    if isinstance(node, exp.TimestampDiff):
        later, earlier = sql(walk(node.this)), sql(walk(node.expression))
        return raw(f"date_diff('{node.text('unit').lower()}', {earlier}, {later})")
    if isinstance(node, exp.Bracket) and isinstance(node.this, exp.Anonymous) and node.this.name.upper() == "APPROX_QUANTILES":
        column, parts = node.this.expressions
        nth = node.expressions[0].expressions[0]
        return raw(f"quantile_disc({sql(column)}, {int(nth.name) / int(parts.name)})")
    if isinstance(node, exp.Anonymous):
        name, args = node.name.upper(), node.expressions
        if name == "COUNTIF":
            # Never null, as in BigQuery.
            return raw(f"COUNT(CASE WHEN {sql(walk(args[0]))} THEN 1 END)")
        if name == "DATE":
            return raw(f"CAST({sql(args[0])} AS DATE)")
        if name == "JSON_VALUE":
            return raw(f"json_extract_string({sql(args[0])}, {sql(args[1])})")
        if name == "JSON_QUERY_ARRAY":
            return raw(f"json_extract({sql(args[0])}, {sql(args[1])[:-1]}[*]')")
        if name == "SAFE_CAST":
            return raw(f"TRY_CAST({sql(walk(args[0].this))} AS {TYPES[args[0].alias.upper()]})")
    if isinstance(node, exp.GroupConcat):
        column = sql(node.this.expressions[0].this)
        return raw(f"string_agg(DISTINCT {column}, {sql(node.args['separator'])} ORDER BY {column})")
    if isinstance(node, exp.Unnest) and node.args.get("alias"):
        # BigQuery's alias names the element, DuckDB's the table.
        name = node.args["alias"].columns[0].name
        node.set("alias", exp.TableAlias(this=exp.to_identifier("_" + name), columns=[exp.to_identifier(name)]))
    return node


def walk(node):
    return node.transform(rewrite)


print(sql(walk(sqlglot.parse_one(sys.stdin.read(), read="bigquery"))))
