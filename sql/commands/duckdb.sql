-- The commands as SQL. They need the Python process that offers embsql_command; in any other client the questions
-- work and these say that the function does not exist. The words stand in a SELECT of their own, with arguments as they
-- came: so DuckDB looks for embsql_command when a command is called, and IMPORT DATABASE works without it.

CREATE OR REPLACE MACRO embsql.train(model, source, algorithm := 'als', options := '{}') AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, done.answer[2] AS status, done.answer[3] AS refused
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['train', model, source, algorithm, options] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.register_embeddings(model, items := NULL, users := NULL, similarity := 'cosine') AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, done.answer[2] AS status
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['register_embeddings', model, items, users, similarity] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.materialise(model, k := 10, users := TRUE, items := TRUE) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, CAST(done.answer[2] AS BIGINT) AS top_items, CAST(done.answer[3] AS BIGINT) AS neighbors
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['materialise', model, CAST(k AS VARCHAR), CAST(users AS VARCHAR), CAST(items AS VARCHAR)] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.cancel(model) AS TABLE
SELECT done.answer[1] AS status
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['cancel', model] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.evaluate(model, options := '{}') AS TABLE
SELECT done.answer[1] AS figures
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['evaluate', model, options] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.cluster(model, entity := 'item', k := NULL, clustering := 'default', labels := NULL, options := '{}') AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, CAST(done.answer[2] AS INTEGER) AS clusters, CAST(done.answer[3] AS BIGINT) AS members, CAST(done.answer[4] AS DOUBLE) AS silhouette
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['cluster', model, entity, coalesce(CAST(CAST(k AS INTEGER) AS VARCHAR), ''), clustering, coalesce(labels, ''), options] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.project(model, entity := 'item', method := 'pca', options := '{}') AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, CAST(done.answer[2] AS BIGINT) AS points, CAST(done.answer[3] AS BIGINT) AS aligned_to
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['project', model, entity, method, options] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.promote(model) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS live_run
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['promote', model] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.rollback(model) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS live_run
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['rollback', model] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.drop_run(model) AS TABLE
SELECT done.answer[1] AS status
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['drop_run', model] AS words) AS asked
) AS done;

CREATE OR REPLACE MACRO embsql.forget(user_id) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS rows_removed
FROM (
    SELECT embsql_command(asked.words) AS answer FROM (SELECT ['forget', CAST(user_id AS VARCHAR)] AS words) AS asked
) AS done;
