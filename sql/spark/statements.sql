-- What publishing asks Spark.

-- version: Spark's, and of which build
SELECT version() AS version

-- schema: where all of it lies
CREATE SCHEMA IF NOT EXISTS embsql

-- internal: where what questions call lies
CREATE SCHEMA IF NOT EXISTS embsql_internal

-- properties: what is known of the schema; of the version of its functions among it
DESCRIBE SCHEMA EXTENDED embsql

-- publishing: who publishes now
SHOW USER FUNCTIONS IN embsql_internal LIKE 'publishing_*'

-- promotions: whether anything was published
SHOW VIEWS IN embsql LIKE 'models'

-- models: which runs there are of which model, and which is live
SELECT m.model_name, m.live_run, m.earlier_runs, m.runs, CAST(m.updated_at AS STRING) AS updated_at
FROM embsql.models AS m
ORDER BY m.model_name ASC

-- record: what a published run is
SELECT r.model_name, r.checksum, r.source_hash FROM embsql.run_records AS r WHERE r.run_id = $run_id

-- derived: the maps and clusterings of published runs, as embsql_internal.is_derived knows them
SELECT DISTINCT concat_ws(' ', 'map', CAST(p.run_id AS STRING), p.entity_kind, p.method_name) AS word FROM embsql.maps AS p
UNION ALL
SELECT DISTINCT concat_ws(' ', 'clustering', CAST(c.run_id AS STRING), c.entity_kind, c.clustering_name) FROM embsql.clusters AS c
ORDER BY word ASC
