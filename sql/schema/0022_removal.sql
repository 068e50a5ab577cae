-- Counts who held a run while they changed it. DuckDB takes two transactions that change a row for a conflict only where
-- a value becomes another.
ALTER TABLE embsql.runs ADD COLUMN held BIGINT DEFAULT 0;
