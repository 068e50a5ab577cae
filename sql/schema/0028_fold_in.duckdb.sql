-- Macros that nothing calls any more: models are known by one map, and a history's matrix is never formed.
DROP MACRO IF EXISTS embsql.known_runs;
DROP MACRO IF EXISTS embsql.system_matrix;
