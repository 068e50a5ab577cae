-- A column of its answer has another name, which CREATE OR REPLACE refuses.
DROP FUNCTION IF EXISTS embsql_internal.shared_vectors(bigint, bigint);
