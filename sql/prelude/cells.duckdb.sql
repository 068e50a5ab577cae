-- Search by cells (docs/decisions/0046) instead of reading all vectors: written into a file with its first run that has
-- cells, together with the questions in *.cells.sql. Runs without answer by the same: all of theirs is in cell 0.
-- DISTINCT keeps DuckDB from writing a CTE into each query that reads it; MATERIALIZED is forgotten by a file.

CREATE OR REPLACE MACRO embsql_internal.known_users(run, ids) AS TABLE
    SELECT u.user_id, embsql.unit_vector(u.embedding) AS direction
    FROM embsql.user_embeddings AS u
    WHERE u.run_id = run AND u.norm > 0 AND u.user_id IN (SELECT unnest(ids)) AND u.cell IN (
        SELECT 0 AS cell
        UNION ALL
        SELECT home.cell
        FROM embsql.cell_members AS home
        WHERE home.run_id = run AND home.entity = 'user' AND home.entity_id IN (SELECT unnest(ids))
    );

CREATE OR REPLACE MACRO embsql_internal.user_state(of_run, person) AS TABLE
SELECT
    coalesce(fresh.embedding, trained.embedding) AS embedding,
    CAST(CASE WHEN fresh.embedding IS NULL THEN trained.norm ELSE fresh.norm END AS FLOAT) AS norm,
    CAST(CASE WHEN fresh.embedding IS NULL THEN trained.bias ELSE fresh.bias END AS FLOAT) AS bias,
    fresh.items AS fresh_items,
    CASE
        WHEN fresh.embedding IS NULL THEN 'model'
        WHEN network.run_id IS NULL THEN 'fold_in'
        ELSE 'sequence'
    END AS source
FROM (SELECT of_run AS run_id, person AS user_id) AS asked
LEFT JOIN embsql.networks AS network ON network.run_id = asked.run_id
LEFT JOIN embsql.cell_members AS home
    ON home.run_id = asked.run_id AND home.entity = 'user' AND home.entity_id = asked.user_id
LEFT JOIN embsql.user_embeddings AS trained
    ON trained.run_id = asked.run_id AND trained.cell = coalesce(home.cell, 0) AND trained.user_id = asked.user_id
LEFT JOIN embsql.fresh_users AS fresh ON fresh.run_id = asked.run_id AND fresh.user_id = asked.user_id;

CREATE OR REPLACE MACRO embsql_internal.reads_cells() AS TRUE;
