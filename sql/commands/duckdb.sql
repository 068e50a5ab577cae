-- The commands as SQL. They need the Python process that offers embsql_command; in any other client the questions
-- work and these say that the function does not exist. Arguments go as text, and are read there. The words stand in a
-- SELECT of their own, and arguments there first as they came: so DuckDB looks for embsql_command when a command is
-- called, and IMPORT DATABASE works without it.

CREATE OR REPLACE MACRO embsql.train(model, source, algorithm := 'als', options := '{}') AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, done.answer[2] AS status, done.answer[3] AS refused
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'train',
            CAST(model AS VARCHAR),
            CAST(source AS VARCHAR),
            CAST(algorithm AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.train IS 'Trains a model on a SELECT and makes it live; options is JSON: the algorithm''s options and train''s own, for example {"dim": 64}.';

CREATE OR REPLACE MACRO embsql.watch(model, source := NULL, options := '{}') AS TABLE
SELECT
    CAST(done.answer[1] AS BIGINT) AS run_id,
    CAST(done.answer[2] AS BIGINT) AS events,
    CAST(done.answer[3] AS BIGINT) AS users,
    CAST(done.answer[4] AS BIGINT) AS new_users,
    CAST(done.answer[5] AS BIGINT) AS new_items
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'watch',
            CAST(model AS VARCHAR),
            CAST(source AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.watch IS 'Lets events count that are newer than the live run: what is new in the source is read now, and, without a source, from the same again. options is JSON with the names of its columns, for example {"time_col": "ordered_at"}.';

CREATE OR REPLACE MACRO embsql.unwatch(model) AS TABLE
SELECT done.answer[1] AS status FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'unwatch',
            CAST(model AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.unwatch IS 'Answers about a model from its runs alone again.';

CREATE OR REPLACE MACRO embsql.refresh(model, options := '{}') AS TABLE
SELECT
    CAST(done.answer[1] AS BIGINT) AS run_id,
    CAST(done.answer[2] AS BIGINT) AS users,
    CAST(done.answer[3] AS BIGINT) AS new_users,
    CAST(done.answer[4] AS BIGINT) AS new_items,
    CAST(done.answer[5] AS BOOLEAN) AS retrained
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'refresh',
            CAST(model AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.refresh IS 'Makes a run of the live one in which the users of new events are folded in, and makes it live; with {"retrain_after": 0.1} a training, where embsql.freshness says more.';

CREATE OR REPLACE MACRO embsql.register_embeddings(model, items := NULL, users := NULL, similarity := 'cosine') AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS run_id, done.answer[2] AS status
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'register_embeddings',
            CAST(model AS VARCHAR),
            CAST(items AS VARCHAR),
            CAST(users AS VARCHAR),
            CAST(similarity AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.register_embeddings IS 'Makes vectors that were made elsewhere a run, as they are: items is a SELECT of item_id and embedding, users one of user_id and embedding.';

CREATE OR REPLACE MACRO embsql.materialize(model, k := 10, users := TRUE, items := TRUE) AS TABLE
SELECT
    CAST(done.answer[1] AS BIGINT) AS run_id,
    CAST(done.answer[2] AS BIGINT) AS top_items,
    CAST(done.answer[3] AS BIGINT) AS neighbors
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'materialize',
            CAST(model AS VARCHAR),
            CAST(k AS VARCHAR),
            CAST(users AS VARCHAR),
            CAST(items AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.materialize IS 'Writes the k best items of every user into embsql.top_items, and the k nearest of every item into embsql.neighbors, in place of the run''s earlier ones.';

CREATE OR REPLACE MACRO embsql.cancel(model) AS TABLE
SELECT done.answer[1] AS status FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'cancel',
            CAST(model AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.cancel IS 'Asks who trains the model to stop, which they do within a few seconds.';

CREATE OR REPLACE MACRO embsql.evaluate(model, options := '{}') AS TABLE
SELECT done.answer[1] AS figures
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'evaluate',
            CAST(model AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.evaluate IS 'Measures a run by training its algorithm on a part of its interactions; the figures are JSON.';

CREATE OR REPLACE MACRO embsql.cluster(
    model, entity := 'item', k := NULL, clustering := 'default', labels := NULL, options := '{}'
) AS TABLE
SELECT
    CAST(done.answer[1] AS BIGINT) AS run_id,
    CAST(done.answer[2] AS INTEGER) AS clusters,
    CAST(done.answer[3] AS BIGINT) AS members,
    CAST(done.answer[4] AS DOUBLE) AS silhouette
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'cluster',
            CAST(model AS VARCHAR),
            CAST(entity AS VARCHAR),
            CAST(k AS VARCHAR),
            CAST(clustering AS VARCHAR),
            CAST(labels AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.cluster IS 'Groups a run''s items or users, in place of an earlier clustering of that name; k by silhouette unless given, labels a SELECT of entity_id and label; options is JSON, for example {"normalize": false}.';

CREATE OR REPLACE MACRO embsql.project(model, entity := 'item', method := 'pca', options := '{}') AS TABLE
SELECT
    CAST(done.answer[1] AS BIGINT) AS run_id,
    CAST(done.answer[2] AS BIGINT) AS points,
    CAST(done.answer[3] AS BIGINT) AS aligned_to
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'project',
            CAST(model AS VARCHAR),
            CAST(entity AS VARCHAR),
            CAST(method AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.project IS 'Draws a map of a run''s items or users by pca, umap or tsne, turned onto that of an earlier run.';

CREATE OR REPLACE MACRO embsql.promote(model) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS live_run
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'promote',
            CAST(model AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.promote IS 'Makes a run, for example shop@7, live.';

CREATE OR REPLACE MACRO embsql.rollback(model) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS live_run
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'rollback',
            CAST(model AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.rollback IS 'Makes the run live that was live before.';

CREATE OR REPLACE MACRO embsql.drop_run(model) AS TABLE
SELECT done.answer[1] AS status FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'drop_run',
            CAST(model AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.drop_run IS 'Removes a run, for example shop@7, and all its rows.';

CREATE OR REPLACE MACRO embsql.drop_model(model, if_exists := FALSE) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS runs
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'drop_model',
            CAST(model AS VARCHAR),
            CAST(if_exists AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.drop_model IS 'Removes a model with all its runs, the live one too.';

CREATE OR REPLACE MACRO embsql.forget(user_id) AS TABLE
SELECT CAST(done.answer[1] AS BIGINT) AS rows_removed
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT user_id AS as_given, [
            'forget',
            embsql.id_text(user_id)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.forget IS 'Removes a person from every run.';

-- PostgreSQL has none: a worker writes no files for those who ask it.
CREATE OR REPLACE MACRO embsql.report(model, path, compared_with := NULL, options := '{}') AS TABLE
SELECT
    CAST(done.answer[1] AS BIGINT) AS run_id,
    CAST(done.answer[2] AS BIGINT) AS compared_run,
    done.answer[3] AS path,
    CAST(done.answer[4] AS BIGINT) AS bytes
FROM (
    SELECT embsql_command(asked.words) AS answer
    FROM (
        SELECT model AS as_given, [
            'report',
            CAST(model AS VARCHAR),
            CAST(path AS VARCHAR),
            CAST(compared_with AS VARCHAR),
            CAST(options AS VARCHAR)
        ] AS words
    ) AS asked
) AS done;
COMMENT ON MACRO TABLE embsql.report IS 'Writes one page about a run into a file of HTML, or about two: compared_with is the earlier one. options is JSON, for example {"seed": 7}.';
