-- storage()
--   -> (model_name text, run_id bigint, part text, rows bigint, bytes bigint)
-- What each run takes: vectors, interactions, histories (what a network reads), top_k (what embsql.materialize wrote) and
-- others, the small tables. In DuckDB bytes are what a table has in the blocks of its file, and of rows that are not in a
-- file, or not yet, their width in memory; where runs share a table, each has its share of it by rows, or by numbers of
-- vectors, and interactions that several runs have count for the first. In PostgreSQL a run's own tables are counted
-- with their indexes, and of shared ones its share by rows; rows are those a caller may see, but of a run's own tables
-- those it was trained with. Parts without rows are left out.
-- example: SELECT part, rows FROM embsql.storage() WHERE model_name = 'shop';
SELECT
  run.model_name AS model_name,
  run.run_id AS run_id,
  stored.part AS part,
  CAST(sum(stored.n_rows) AS BIGINT) AS rows,
  CAST(sum(stored.n_bytes) AS BIGINT) AS bytes
FROM given
CROSS JOIN LATERAL embsql_internal.stored_parts() AS stored
JOIN embsql.run_records AS run ON run.run_id = stored.run_id
GROUP BY run.model_name, run.run_id, stored.part
ORDER BY run.model_name ASC, run.run_id ASC, stored.part ASC
