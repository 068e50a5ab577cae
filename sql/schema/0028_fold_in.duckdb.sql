-- Macros that nothing calls any more: models are known by one map, and a history goes through one chain to a system
-- whose matrix is never formed.
DROP MACRO IF EXISTS embsql.known_runs;
DROP MACRO IF EXISTS embsql.system_matrix;
DROP MACRO TABLE IF EXISTS embsql.zip_history;
