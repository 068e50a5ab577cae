-- What is otherwise in Spark, where runs are published.

-- still_holds: nobody: who was to be forgotten is not published
SELECT run.run_id FROM embsql.run_records AS run WHERE run.run_id = $run_id AND FALSE

-- cells_of: never: only a DuckDB file has cells
SELECT 1 AS found WHERE CAST($run_id AS BIGINT) IS NULL
