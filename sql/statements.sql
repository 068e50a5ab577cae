-- The statements that write and keep the registry. Values are parameters.

-- is_installed: whether there is anything to look at yet
SELECT 1 AS found
FROM duckdb_tables() AS t -- not duckdb_columns(), which binds every view
WHERE t.database_name = current_database() AND t.schema_name = 'embsql' AND t.table_name = 'surface'
    AND contains(t.sql, '(surface ')

-- tables: whatever tables and views the schema has, whoever made them
SELECT t.table_name, 'TABLE' AS kind
FROM duckdb_tables() AS t
WHERE t.database_name = current_database() AND t.schema_name = 'embsql'
UNION ALL
SELECT v.view_name, 'VIEW' AS kind
FROM duckdb_views() AS v
WHERE v.database_name = current_database() AND v.schema_name = 'embsql'

-- surface_version: what this database was last given
SELECT state.surface FROM embsql.surface AS state

-- has_file_id: whether the questions know which file they are of
SELECT 1 AS found
FROM duckdb_tables() AS t
WHERE t.database_name = current_database() AND t.schema_name = 'embsql' AND t.table_name = 'file'
    AND contains(t.sql, '(file_id ')

-- file_id: what they know it by
SELECT f.file_id FROM embsql.file AS f

-- damages: what was installed and no longer finds what it stands on; installing again mends it
SELECT '' AS reason WHERE FALSE

-- lost: what no answer needs and a dump may leave behind; installing again makes it anew
SELECT '' AS reason WHERE FALSE

-- applied: schema files already run here
SELECT step.file_name, step.checksum FROM embsql.migrations AS step

-- has_ml: whether the schema ml has embsql's functions, which have no comments any more in a file that was imported
SELECT 1 AS found
FROM duckdb_functions() AS f
WHERE f.database_name = current_database() AND f.schema_name = 'ml' AND f.function_name = 'training_info'
    AND contains(f.macro_definition, '_embsql_')

-- unread_networks: whether runs have networks that the questions do not read yet
SELECT 1 AS found
WHERE EXISTS (SELECT 1 FROM embsql.networks) AND NOT embsql_internal.reads_networks()

-- unread_cells: whether runs have cells that the questions do not read yet
SELECT 1 AS found
WHERE EXISTS (SELECT 1 FROM embsql.cells) AND NOT embsql_internal.reads_cells()

-- cells_of: whether a run is searched by cells
SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM embsql.cells AS part WHERE part.run_id = $run_id)

-- next_run: a number no other run has
SELECT nextval('embsql.run_ids') AS run_id

-- take_lease: one trainer per model; a lease whose heart stopped is taken over
INSERT INTO embsql.leases (
    model_name, owner, run_id, host, pid, process, cancelled, heartbeat_at, expires_at
)
VALUES (
    $model_name, $owner, $run_id, $host, $pid, $process, FALSE, embsql_internal.utc_now(),
    embsql_internal.utc_now() + INTERVAL '60 seconds'
)
ON CONFLICT (model_name) DO UPDATE SET
    owner = excluded.owner, run_id = excluded.run_id, host = excluded.host, pid = excluded.pid,
    process = excluded.process,
    cancelled = FALSE, heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at
WHERE leases.expires_at < embsql_internal.utc_now()

-- lease: who trains a model
SELECT
    held.owner, held.run_id, held.host, held.pid, held.process, held.cancelled,
    CAST(extract(epoch FROM (embsql_internal.utc_now() - held.heartbeat_at)) AS BIGINT) AS age
FROM embsql.leases AS held
WHERE held.model_name = $model_name

-- heartbeat: a sign of life; changes no row once the lease is another's
UPDATE embsql.leases
SET heartbeat_at = embsql_internal.utc_now(), expires_at = embsql_internal.utc_now() + INTERVAL '60 seconds'
WHERE model_name = $model_name AND owner = $owner

-- release: the end of a lease
DELETE FROM embsql.leases WHERE model_name = $model_name AND owner = $owner

-- request_cancel: asks the trainer of a model to stop
UPDATE embsql.leases SET cancelled = TRUE WHERE model_name = $model_name AND expires_at >= embsql_internal.utc_now()

-- ensure_model: the model's row, made on first use
INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at)
VALUES ($model_name, NULL, CAST(ARRAY[] AS BIGINT[]), embsql_internal.utc_now())
ON CONFLICT (model_name) DO NOTHING

-- begin_run: a run as it starts
INSERT INTO embsql.run_records (run_id, model_name, algorithm, params, source_sql, seed, status, versions, started_at)
VALUES ($run_id, $model_name, $algorithm, $params, $source_sql, $seed, 'training', $versions, embsql_internal.utc_now())

-- name_columns: what the source calls its columns, where that is not what embsql does
UPDATE embsql.run_records
SET user_col = $user_col, item_col = $item_col, weight_col = $weight_col, time_col = $time_col
WHERE run_id = $run_id

-- note_newest: how far a run's events go, from where on others are new to it
UPDATE embsql.run_records SET newest_event = $newest_event WHERE run_id = $run_id

-- note_parent: of which run one was made by folding in
UPDATE embsql.run_records SET parent_run = $parent_run WHERE run_id = $run_id

-- series_before: the series that a run goes on with; that of the newest run of its model, or of any of the same source
SELECT past.series
FROM embsql.run_records AS past
JOIN embsql.run_records AS run ON run.run_id = $run_id
WHERE past.series IS NOT NULL AND past.run_id <> run.run_id
    AND (past.model_name = run.model_name OR past.source_sql = run.source_sql)
ORDER BY past.model_name = run.model_name DESC, past.finished_at DESC NULLS LAST, past.run_id DESC
LIMIT 1

-- next_series: a number that no series has
SELECT coalesce(max(one.series), 0) + 1 AS series FROM embsql.snapshot_series AS one

-- begin_series: a series without snapshots
INSERT INTO embsql.snapshot_series (series, held) VALUES ($series, 0)

-- hold_one_series: keeps others from a series while it is changed
UPDATE embsql.snapshot_series SET held = held + 1 WHERE series = $series

-- hold_series: the same of those that some runs are in
UPDATE embsql.snapshot_series SET held = held + 1
WHERE series IN (SELECT run.series FROM embsql.run_records AS run WHERE run.run_id = ANY (CAST($runs AS BIGINT[])))

-- note_snapshot: what a run was trained on
UPDATE embsql.run_records SET series = $series, snapshot = $snapshot WHERE run_id = $run_id

-- pairs_but: what a run was trained on, but for some users
SELECT past.user_id, past.item_id, past.weight, past.last_time
FROM embsql.interactions AS past
WHERE past.run_id = $parent_run AND past.user_id NOT IN (SELECT unnest(CAST($users AS VARCHAR[])))

-- last_snapshot: the rows of a series that have not ended
SELECT pair.rowid AS pair_row, pair.user_id, pair.item_id, pair.weight, pair.last_time
FROM embsql.pair_versions AS pair
WHERE pair.series = $series AND pair.to_snapshot IS NULL

-- last_in_series: which that is
SELECT max(run.snapshot) AS snapshot FROM embsql.run_records AS run WHERE run.series = $series

-- open_ended: for rows that the next snapshot does not have
CREATE TEMP TABLE ended_pairs (pair_row BIGINT)

-- end_pairs: the rows that are in it
UPDATE embsql.pair_versions SET to_snapshot = $snapshot
WHERE rowid IN (SELECT ended.pair_row FROM temp.ended_pairs AS ended)

-- close_ended: it is no longer needed
DROP TABLE temp.ended_pairs

-- position_in_series: where a run's snapshot stands that no other run has, and which come before and after it
SELECT
    run.series, run.snapshot,
    coalesce(max(other.snapshot) FILTER (WHERE other.snapshot < run.snapshot), 0) AS before,
    min(other.snapshot) FILTER (WHERE other.snapshot > run.snapshot) AS after
FROM embsql.run_records AS run
LEFT JOIN embsql.run_records AS other ON other.series = run.series AND other.run_id <> run.run_id
WHERE run.run_id = $run_id AND run.series IS NOT NULL
GROUP BY run.series, run.snapshot
HAVING count(*) FILTER (WHERE other.snapshot = run.snapshot) = 0

-- drop_unshared: the rows that are in a snapshot and neither in the one before nor in the one after it
DELETE FROM embsql.pair_versions
WHERE series = $series AND from_snapshot > $before AND from_snapshot <= $snapshot
    AND (CAST($after AS INTEGER) IS NULL OR to_snapshot <= $after)

-- reopen: rows that ended in snapshots that are gone, after the last one that is there
UPDATE embsql.pair_versions SET to_snapshot = NULL
WHERE series = $series AND to_snapshot > (
    SELECT max(run.snapshot) FROM embsql.run_records AS run WHERE run.series = $series AND run.run_id <> $run_id
)

-- drop_empty_series: a series of which a run had the only snapshot
DELETE FROM embsql.snapshot_series
WHERE series = (SELECT run.series FROM embsql.run_records AS run WHERE run.run_id = $run_id) AND NOT EXISTS (
    SELECT 1 FROM embsql.run_records AS other WHERE other.series = snapshot_series.series AND other.run_id <> $run_id
)

-- count_pairs: how many rows some runs have of a person
SELECT count(*) AS pairs
FROM embsql.interactions AS past
WHERE past.run_id = ANY (CAST($runs AS BIGINT[])) AND past.user_id = $user_id

-- sharing_runs: those of some runs that share a snapshot with a run that is not among them
SELECT DISTINCT run.run_id
FROM embsql.run_records AS run
JOIN embsql.run_records AS other ON other.series = run.series AND other.snapshot = run.snapshot
WHERE run.run_id = ANY (CAST($runs AS BIGINT[])) AND NOT other.run_id = ANY (CAST($runs AS BIGINT[]))

-- pairs_of_others: a person's rows in other snapshots of the series that some runs are in, each snapshot by itself
WITH known AS (
    SELECT
        run.series, run.snapshot AS from_snapshot, bool_or(run.run_id = ANY (CAST($runs AS BIGINT[]))) AS leaves,
        lead(run.snapshot) OVER (PARTITION BY run.series ORDER BY run.snapshot ASC) AS to_snapshot
    FROM embsql.run_records AS run
    WHERE run.series IS NOT NULL
    GROUP BY run.series, run.snapshot
)
SELECT pair.series, pair.user_id, pair.item_id, pair.weight, pair.last_time, known.from_snapshot, known.to_snapshot
FROM embsql.pair_versions AS pair
JOIN known
    ON known.series = pair.series AND pair.from_snapshot <= known.from_snapshot
    AND (pair.to_snapshot IS NULL OR pair.to_snapshot > known.from_snapshot)
WHERE pair.user_id = $user_id AND NOT known.leaves
    AND pair.series IN (SELECT run.series FROM embsql.run_records AS run WHERE run.run_id = ANY (CAST($runs AS BIGINT[])))

-- forget_pairs: a person's rows in these series
DELETE FROM embsql.pair_versions
WHERE user_id = $user_id
    AND series IN (SELECT run.series FROM embsql.run_records AS run WHERE run.run_id = ANY (CAST($runs AS BIGINT[])))

-- copy_user_embeddings: its users, but for some
INSERT INTO embsql.user_embeddings (run_id, user_id, embedding, norm, bias, interactions, cell)
SELECT $run_id, person.user_id, person.embedding, person.norm, person.bias, person.interactions, person.cell
FROM embsql.user_embeddings AS person
WHERE person.run_id = $parent_run AND person.user_id NOT IN (SELECT unnest(CAST($users AS VARCHAR[])))

-- copy_histories: what its network reads of them, but for some
INSERT INTO embsql.histories (run_id, user_id, position, item_id, event_time)
SELECT $run_id, past.user_id, past.position, past.item_id, past.event_time
FROM embsql.histories AS past
WHERE past.run_id = $parent_run AND past.user_id NOT IN (SELECT unnest(CAST($users AS VARCHAR[])))

-- copy_item_embeddings: its items, with how many users each has now
INSERT INTO embsql.item_embeddings (run_id, item_id, embedding, norm, bias, interactions, cell)
SELECT $run_id, item.item_id, item.embedding, item.norm, item.bias, coalesce(counted.users, 0), item.cell
FROM embsql.item_embeddings AS item
LEFT JOIN (
    SELECT pair.item_id, count(*) AS users FROM embsql.interactions AS pair WHERE pair.run_id = $run_id GROUP BY pair.item_id
) AS counted ON counted.item_id = item.item_id
WHERE item.run_id = $parent_run

-- copy_cell_members: in which cell each of its vectors lies, but of those that were made anew
INSERT INTO embsql.cell_members (run_id, entity, entity_id, cell)
SELECT $run_id, member.entity, member.entity_id, member.cell
FROM embsql.cell_members AS member
LEFT JOIN embsql.user_embeddings AS person
    ON person.run_id = $run_id AND person.user_id = member.entity_id AND member.entity = 'user'
WHERE member.run_id = $parent_run AND (member.entity = 'item' OR person.cell = member.cell)
ORDER BY member.entity ASC, member.entity_id ASC

-- copy_cells: how its vectors are searched
INSERT INTO embsql.cells (run_id, entity, similarity, cell, size, center, bias, reach, budget, budget_100, recall)
SELECT
    $run_id, of_run.entity, of_run.similarity, of_run.cell, coalesce(counted.size, 0), of_run.center, of_run.bias,
    of_run.reach, of_run.budget, of_run.budget_100, of_run.recall
FROM embsql.cells AS of_run
LEFT JOIN (
    SELECT member.entity, member.cell, count(*) AS size
    FROM embsql.cell_members AS member
    WHERE member.run_id = $run_id
    GROUP BY member.entity, member.cell
) AS counted ON counted.entity = of_run.entity AND counted.cell = of_run.cell
WHERE of_run.run_id = $parent_run

-- counted_rows: how many users, items and pairs a run has
SELECT
    (SELECT count(*) FROM embsql.user_embeddings AS person WHERE person.run_id = $run_id) AS users,
    (SELECT count(*) FROM embsql.item_embeddings AS item WHERE item.run_id = $run_id) AS items,
    (SELECT count(*) FROM embsql.interactions AS pair WHERE pair.run_id = $run_id) AS interactions

-- finish_run: a run whose vectors are all written
UPDATE embsql.run_records
SET status = 'ready', held = held + 1, source_hash = $source_hash, dim = $dim, similarity = $similarity, users = $users,
    items = $items, interactions = $interactions, checksum = $checksum, finished_at = embsql_internal.utc_now()
WHERE run_id = $run_id AND status = 'training'

-- end_run: a run that did not get there
UPDATE embsql.run_records
SET status = $status, held = held + 1, error = $error, finished_at = embsql_internal.utc_now()
WHERE run_id = $run_id AND status = 'training'

-- run_source: what a run was trained on, as a source
SELECT past.user_id, past.item_id, past.weight, past.last_time AS event_time
FROM embsql.interactions AS past
WHERE past.run_id = $run_id

-- repeated_pairs: where some of a run's pairs are several rows of its source, how many; NULL: that is not known
SELECT finding.affected
FROM embsql.run_records AS run
LEFT JOIN embsql.source_checks AS finding ON finding.run_id = run.run_id AND finding.check_name = 'repeated pairs'
WHERE run.run_id = $run_id
    AND (finding.affected > 0 OR run.parent_run IS NOT NULL)

-- set_gate_reason: why a ready run was not promoted
UPDATE embsql.run_records SET error = $error WHERE run_id = $run_id AND status = 'ready'

-- abandoned: runs of a model that say they train although nobody holds the lease
UPDATE embsql.run_records
SET status = 'failed', held = held + 1, error = 'the trainer died: its lease expired',
    finished_at = embsql_internal.utc_now()
WHERE model_name = $model_name AND status = 'training' AND run_id <> $run_id

-- check_model: whether a model is one's own to change: in a file there is nobody else
SELECT $model_name AS model_name

-- is_own: whether what a run remembers of its sources may be run as this session: in a file there is nobody else
SELECT $run_id AS run_id

-- run_record: one run
SELECT
    run.run_id, run.model_name, run.algorithm, run.params, run.source_sql, run.source_hash, run.seed, run.dim,
    run.similarity, run.status, run.users, run.items, run.interactions, run.checksum, run.error,
    run.user_col, run.item_col, run.weight_col, run.time_col, run.newest_event
FROM embsql.run_records AS run
WHERE run.run_id = $run_id

-- live_record: the run that a model says is live; without a run_id where that is gone, or nothing is
SELECT
    model.live_run, run.run_id, run.model_name, run.algorithm, run.params, run.source_sql, run.source_hash, run.seed,
    run.dim, run.similarity, run.status, run.users, run.items, run.interactions, run.checksum, run.error,
    run.user_col, run.item_col, run.weight_col, run.time_col, run.newest_event
FROM embsql.models AS model
LEFT JOIN embsql.run_records AS run ON run.run_id = model.live_run
WHERE model.model_name = $model_name

-- model_record: what a model's name points at
SELECT model.live_run, model.earlier_runs FROM embsql.models AS model WHERE model.model_name = $model_name

-- model_names: every model there is
SELECT model.model_name FROM embsql.models AS model ORDER BY model.model_name ASC

-- newest_run: the last run of a model, whatever became of it
SELECT max(run.run_id) AS run_id FROM embsql.run_records AS run WHERE run.model_name = $model_name

-- newest_finished: the last run of a model that could be promoted
SELECT max(run.run_id) AS run_id
FROM embsql.run_records AS run
WHERE run.model_name = $model_name AND run.status = 'ready'

-- promote: moves the pointer if nobody moved it meanwhile
UPDATE embsql.models
SET live_run = $live_run, earlier_runs = $earlier_runs, updated_at = embsql_internal.utc_now()
WHERE model_name = $model_name AND live_run IS NOT DISTINCT FROM $expected

-- mark_promoted: when a run was made live
UPDATE embsql.run_records SET promoted_at = embsql_internal.utc_now() WHERE run_id = $run_id

-- collectable: the runs of a model that are more than it keeps, oldest first; those that were live count apart, so that
-- they can be gone back to, and so do those that came to nothing
SELECT past.run_id
FROM (
    SELECT
        run.run_id, model.keep_runs,
        row_number() OVER (
            PARTITION BY run.status = 'ready', embsql_internal.contains(model.earlier_runs, run.run_id)
            ORDER BY run.run_id DESC
        ) AS age
    FROM embsql.run_records AS run
    JOIN embsql.models AS model ON model.model_name = run.model_name
    WHERE run.model_name = $model_name AND run.status <> 'training' AND run.run_id IS DISTINCT FROM model.live_run
) AS past
WHERE past.age > past.keep_runs
ORDER BY past.run_id ASC

-- set_keep: how many runs a model keeps
UPDATE embsql.models SET keep_runs = $keep WHERE model_name = $model_name

-- log_event: one line of the audit trail
INSERT INTO embsql.events (logged_at, model_name, run_id, event, detail)
VALUES (embsql_internal.utc_now(), $model_name, $run_id, $event, $detail)

-- log_epoch: one figure of training
INSERT INTO embsql.training_log (run_id, epoch, metric, value, logged_at)
VALUES ($run_id, $epoch, $metric, $value, embsql_internal.utc_now())

-- log_phase: which phase a run is in, and what each has taken
UPDATE embsql.run_records SET phase = $phase, phase_seconds = $phase_seconds WHERE run_id = $run_id

-- log_trial: one setting of a search
INSERT INTO embsql.trials (
    run_id, trial, params, metric, value, seconds, status, error, algorithm, ci_low, ci_high, reason
)
VALUES (
    $run_id, $trial, $params, $metric, $value, $seconds, $status, $error, $algorithm, $ci_low, $ci_high, $reason
)

-- judge_trial: why a candidate was chosen, or was not
UPDATE embsql.trials SET chosen = $chosen, reason = $reason WHERE run_id = $run_id AND trial = $trial

-- set_params: the options that a search has found
UPDATE embsql.run_records SET params = $params WHERE run_id = $run_id AND status = 'training'

-- set_algorithm: the algorithm that was chosen for a run
UPDATE embsql.run_records SET algorithm = $algorithm WHERE run_id = $run_id AND status = 'training'

-- metrics: what a run measured
SELECT figure.metric, figure.k, figure.value
FROM embsql.metrics AS figure
WHERE figure.run_id = $run_id AND figure.split = $split AND figure.segment = 'all'

-- forget_metrics: a run is measured anew
DELETE FROM embsql.metrics WHERE run_id = $run_id AND split = $split

-- judge: what the gate compared, and what it decided
INSERT INTO embsql.gates (
    run_id, verdict, split, metric, k, value, popular_value, compared_run, basis, users, left_out, new_value, live_value,
    difference, ci_low, ci_high, tolerance, reason
)
VALUES (
    $run_id, $verdict, $split, $metric, $k, $value, $popular_value, $compared_run, $basis, $users, $left_out, $new_value,
    $live_value, $difference, $ci_low, $ci_high, $tolerance, $reason
)

-- drop_gates: part of dropping a run
DELETE FROM embsql.gates WHERE run_id = $run_id

-- drop_item_embeddings: part of dropping a run
DELETE FROM embsql.item_embeddings WHERE run_id = $run_id

-- drop_user_embeddings: part of dropping a run
DELETE FROM embsql.user_embeddings WHERE run_id = $run_id

-- drop_top_items: part of dropping a run, and of making them anew
DELETE FROM embsql.top_items WHERE run_id = $run_id

-- drop_neighbors: part of dropping a run, and of making them anew
DELETE FROM embsql.neighbors WHERE run_id = $run_id

-- drop_fresh_users: part of dropping a run, and of reading anew what is new to it
DELETE FROM embsql.fresh_users WHERE run_id = $run_id

-- drop_training_log: part of dropping a run
DELETE FROM embsql.training_log WHERE run_id = $run_id

-- drop_metrics: part of dropping a run
DELETE FROM embsql.metrics WHERE run_id = $run_id

-- drop_trials: part of dropping a run
DELETE FROM embsql.trials WHERE run_id = $run_id

-- drop_fold_in_settings: part of dropping a run
DELETE FROM embsql.fold_in_settings WHERE run_id = $run_id

-- drop_item_gramian: part of dropping a run
DELETE FROM embsql.item_gramian WHERE run_id = $run_id

-- drop_item_weights: part of dropping a run
DELETE FROM embsql.item_weights WHERE run_id = $run_id

-- drop_graph_edges: part of dropping a run
DELETE FROM embsql.graph_edges WHERE run_id = $run_id

-- drop_tower_features: part of dropping a run
DELETE FROM embsql.tower_features WHERE run_id = $run_id

-- drop_tower_layers: part of dropping a run
DELETE FROM embsql.tower_layers WHERE run_id = $run_id

-- drop_networks: part of dropping a run
DELETE FROM embsql.networks WHERE run_id = $run_id

-- drop_network_layers: part of dropping a run
DELETE FROM embsql.network_layers WHERE run_id = $run_id

-- drop_item_first_times: part of dropping a run
DELETE FROM embsql.item_first_times WHERE run_id = $run_id

-- drop_histories: part of dropping a run
DELETE FROM embsql.histories WHERE run_id = $run_id

-- drop_cells: part of dropping a run
DELETE FROM embsql.cells WHERE run_id = $run_id

-- drop_cell_members: part of dropping a run
DELETE FROM embsql.cell_members WHERE run_id = $run_id

-- drop_source_checks: part of dropping a run
DELETE FROM embsql.source_checks WHERE run_id = $run_id

-- drop_clusters: part of dropping a run
DELETE FROM embsql.clusters WHERE run_id = $run_id

-- drop_cluster_members: part of dropping a run
DELETE FROM embsql.cluster_members WHERE run_id = $run_id

-- drop_maps: part of dropping a run
DELETE FROM embsql.maps WHERE run_id = $run_id

-- drop_earlier: part of dropping a run: nobody goes back to it
UPDATE embsql.models SET earlier_runs = list_filter(earlier_runs, lambda past: past <> $run_id)
WHERE embsql_internal.contains(earlier_runs, $run_id)

-- drop_run: part of dropping a run
DELETE FROM embsql.run_records WHERE run_id = $run_id

-- runs_of: all runs of a model
SELECT run.run_id FROM embsql.run_records AS run WHERE run.model_name = $model_name ORDER BY run.run_id ASC

-- published_runs: runs of a model that were published to Spark from here
SELECT DISTINCT line.run_id FROM embsql.events AS line
WHERE line.model_name = $model_name AND line.event = 'publish' AND starts_with(line.detail, 'to ')
ORDER BY line.run_id ASC

-- every_run: all runs there are
SELECT run.run_id FROM embsql.run_records AS run ORDER BY run.run_id ASC

-- drop_model: a model whose runs are gone
DELETE FROM embsql.models WHERE model_name = $model_name

-- watch: where a model's new events are
INSERT INTO embsql.watches (
    model_name, source_sql, user_col, item_col, weight_col, time_col, watched_at, read_run, refused_events
)
VALUES ($model_name, $source, $user, $item, $weight, $time, embsql_internal.utc_now(), $run_id, $refused_events)
ON CONFLICT (model_name) DO UPDATE SET
    source_sql = excluded.source_sql, user_col = excluded.user_col, item_col = excluded.item_col,
    weight_col = excluded.weight_col, time_col = excluded.time_col, watched_at = excluded.watched_at,
    read_run = excluded.read_run, refused_events = excluded.refused_events

-- drop_watch: a model has none any more
DELETE FROM embsql.watches WHERE model_name = $model_name

-- watched: what a model watches
SELECT
    kept.source_sql, kept.user_col AS "user", kept.item_col AS item, kept.weight_col AS weight, kept.time_col AS "time"
FROM embsql.watches AS kept
WHERE kept.model_name = $model_name

-- fresh_counts: how much a model's live run has not seen
SELECT fresh.run_id, fresh.events, fresh.users, fresh.new_users, fresh.new_items
FROM embsql.freshness($model) AS fresh

-- staleness: the figure by which a model is trained anew, as a source
SELECT fresh.staleness FROM embsql.freshness('$model_name') AS fresh

-- known_users: those of some users that a run has a vector of
SELECT person.user_id
FROM embsql.user_embeddings AS person
WHERE person.run_id = $run_id AND person.user_id IN (SELECT unnest(CAST($users AS VARCHAR[])))

-- histories: what some users did before a run was trained
SELECT past.user_id, past.item_id, past.weight, past.last_time
FROM embsql.interactions AS past
WHERE past.run_id = $run_id AND past.user_id IN (SELECT unnest(CAST($users AS VARCHAR[])))

-- past_events: what a network reads of some users, in the order of each
SELECT past.user_id, past.item_id, past.event_time
FROM embsql.histories AS past
WHERE past.run_id = $run_id AND past.user_id IN (SELECT unnest(CAST($users AS VARCHAR[])))
ORDER BY past.user_id ASC, past.position ASC

-- states: what a network makes of some users' events, which are in order
SELECT history.person, state.embedding
FROM (
    SELECT
        event.person, list(event.item_id ORDER BY event.ordinal ASC) AS items,
        list(embsql_internal.moment(event.event_time) ORDER BY event.ordinal ASC) AS moments
    FROM (
        SELECT
            unnest(CAST($users AS BIGINT[])) AS person,
            unnest(CAST($items AS VARCHAR[])) AS item_id,
            unnest(CAST($times AS BIGINT[])) AS event_time,
            generate_subscripts(CAST($users AS BIGINT[]), 1) AS ordinal
    ) AS event
    GROUP BY event.person
) AS history
CROSS JOIN LATERAL embsql_internal.network_state($run_id, history.items, history.moments) AS state
ORDER BY history.person ASC

-- item_vectors: a run's items
SELECT item.item_id AS entity_id, item.embedding, item.interactions
FROM embsql.item_embeddings AS item
WHERE item.run_id = $run_id
ORDER BY item.item_id ASC

-- user_vectors: a run's users
SELECT person.user_id AS entity_id, person.embedding, person.interactions
FROM embsql.user_embeddings AS person
WHERE person.run_id = $run_id
ORDER BY person.user_id ASC

-- features: what other models can use
SELECT * FROM embsql.features($model, entity => $entity)

-- map_methods: by which methods a map of a run's items or users was drawn
SELECT DISTINCT point.method_name
FROM embsql.maps AS point
WHERE point.run_id = $run_id AND point.entity_kind = $entity

-- count_clusters: how many groups a clustering has
SELECT count(*) AS clusters
FROM embsql.clusters AS found
WHERE found.run_id = $run_id AND found.entity_kind = $entity AND found.clustering_name = $clustering

-- map_points: the points of a map with all that is known of each
WITH everyone AS (
    SELECT person.user_id AS entity_id, person.embedding, person.interactions
    FROM embsql.user_embeddings AS person
    WHERE person.run_id = $run_id AND $entity = 'user'
    UNION ALL
    SELECT item.item_id, item.embedding, item.interactions
    FROM embsql.item_embeddings AS item
    WHERE item.run_id = $run_id AND $entity = 'item'
),
made AS ( -- without one the question would be an error
    SELECT DISTINCT member.clustering_name AS name
    FROM embsql.cluster_members AS member
    WHERE member.run_id = $run_id AND member.entity_kind = $entity AND member.clustering_name = $clustering
),
named AS (
    SELECT found.cluster_id, found.label
    FROM made
    CROSS JOIN LATERAL embsql.clusters($model, entity => $entity, clustering => made.name) AS found
)
SELECT
    point.entity_id, point.x, point.y, member.cluster_id AS cluster, named.label AS cluster_label,
    everyone.interactions, everyone.embedding
FROM embsql.maps AS point
JOIN everyone ON everyone.entity_id = point.entity_id
LEFT JOIN embsql.cluster_members AS member
    ON member.run_id = point.run_id AND member.entity_kind = point.entity_kind
    AND member.clustering_name = $clustering AND member.entity_id = point.entity_id
LEFT JOIN named ON named.cluster_id = member.cluster_id
WHERE point.run_id = $run_id AND point.entity_kind = $entity AND point.method_name = $method
ORDER BY point.entity_id ASC

-- lock_run: keeps others from a finished run while something is made of it; changes no row once the run is gone
UPDATE embsql.run_records SET held = held + 1 WHERE run_id = $run_id AND status = 'ready'

-- clear_clusters: the clusters of one name
DELETE FROM embsql.clusters
WHERE run_id = $run_id AND entity_kind = $entity AND clustering_name = $clustering_name

-- clear_cluster_members: who is in them
DELETE FROM embsql.cluster_members
WHERE run_id = $run_id AND entity_kind = $entity AND clustering_name = $clustering_name

-- clear_maps: a map by one method
DELETE FROM embsql.maps WHERE run_id = $run_id AND entity_kind = $entity AND method_name = $method_name

-- earlier_map: the map of the newest other run of a model that has one
SELECT point.run_id, point.entity_id, point.x, point.y
FROM embsql.maps AS point
WHERE point.entity_kind = $entity
    AND point.method_name = $method_name
    AND point.run_id = (
        SELECT max(other.run_id)
        FROM embsql.maps AS other
        JOIN embsql.run_records AS run ON run.run_id = other.run_id
        WHERE run.model_name = $model_name
            AND other.run_id <> $run_id
            AND other.entity_kind = $entity
            AND other.method_name = $method_name
    )

-- text_vectors: those of the texts asked for that an encoder has read before
SELECT kept.content, kept.embedding
FROM embsql.text_vectors AS kept
WHERE kept.content IN (SELECT unnest(CAST($contents AS VARCHAR[])) AS content)

-- salt: of those who are being forgotten, so that one hash of an id tells it among all of them
SELECT DISTINCT gone.salt FROM embsql.forgotten AS gone

-- hold_trainings: keeps runs that are being made from ending meanwhile
UPDATE embsql.run_records SET held = held + 1 WHERE status = 'training'

-- note_forgotten: a person who is to go from every run that has rows, or will have
INSERT INTO embsql.forgotten (run_id, salt, person)
SELECT run.run_id, $salt, $person FROM embsql.run_records AS run WHERE run.status IN ('training', 'ready')
ON CONFLICT (run_id, person) DO NOTHING

-- to_be_cleared: runs that are whole and still hold a person, the live ones first
SELECT gone.run_id
FROM embsql.forgotten AS gone
LEFT JOIN embsql.run_records AS run ON run.run_id = gone.run_id
LEFT JOIN embsql.models AS model ON model.live_run = gone.run_id
WHERE gone.person = ANY (CAST($people AS VARCHAR[])) AND run.status IS DISTINCT FROM 'training'
ORDER BY model.live_run IS NULL ASC, gone.run_id ASC

-- lock_runs: keeps others from runs while they are changed
UPDATE embsql.run_records SET held = held + 1 WHERE run_id = ANY (CAST($runs AS BIGINT[]))

-- cleared: runs that no longer hold a person
DELETE FROM embsql.forgotten
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND person = ANY (CAST($people AS VARCHAR[]))

-- still_holds: whether somebody is still to be forgotten in a run; a reader may not see who
SELECT gone.run_id FROM embsql.forgotten AS gone WHERE gone.run_id = $run_id LIMIT 1

-- forgotten_meanwhile: who was forgotten while a run was made
SELECT gone.salt, gone.person FROM embsql.forgotten AS gone WHERE gone.run_id = $run_id

-- drop_forgotten: part of dropping a run, and of its end
DELETE FROM embsql.forgotten WHERE run_id = $run_id

-- blank_examples: what a run that outlived somebody has to show; it was written by who does not know whom
UPDATE embsql.source_checks SET example = NULL
WHERE run_id = $run_id AND run_id IN (SELECT gone.run_id FROM embsql.forgotten AS gone)

-- blank_error: why such a run failed
UPDATE embsql.run_records SET error = 'not kept, since somebody was forgotten meanwhile, whom it may name'
WHERE run_id = $run_id AND run_id IN (SELECT gone.run_id FROM embsql.forgotten AS gone)

-- drop_ended: nothing is left to be done in runs that failed, once they give no examples
UPDATE embsql.source_checks SET example = NULL
WHERE run_id IN (
    SELECT gone.run_id
    FROM embsql.forgotten AS gone
    JOIN embsql.run_records AS run ON run.run_id = gone.run_id
    WHERE run.status NOT IN ('training', 'ready')
);
DELETE FROM embsql.forgotten
WHERE run_id IN (SELECT run.run_id FROM embsql.run_records AS run WHERE run.status NOT IN ('training', 'ready'))

-- forget_user_clusters: what group a person is in
DELETE FROM embsql.cluster_members
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND entity_kind = 'user' AND entity_id = $user_id

-- forget_user_shares: what they count for in groups
UPDATE embsql.clusters AS found SET
    size = found.size - 1,
    radius = coalesce(sqrt(
        greatest(0, found.size * found.radius * found.radius - member.distance * member.distance)
        / nullif(found.size - 1, 0)
    ), 0)
FROM embsql.cluster_members AS member
WHERE member.run_id = ANY (CAST($runs AS BIGINT[])) AND member.entity_kind = 'user' AND member.entity_id = $user_id
    AND found.run_id = member.run_id AND found.entity_kind = member.entity_kind
    AND found.clustering_name = member.clustering_name AND found.cluster_id = member.cluster_id

-- forget_user_labels: the groups of people that were called after one
UPDATE embsql.clusters SET label = NULL
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND entity_kind = 'user' AND label = $user_id

-- forget_user_maps: where a person is on maps
DELETE FROM embsql.maps
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND entity_kind = 'user' AND entity_id = $user_id

-- forget_user_top_items: what a person would be shown
DELETE FROM embsql.top_items WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND user_id = $user_id

-- forget_user_fresh: what a person did since; the source that is watched is its owner's
DELETE FROM embsql.fresh_users WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND user_id = $user_id

-- forget_user_neighbors: whom a person is near
DELETE FROM embsql.neighbors
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND entity = 'user' AND (entity_id = $user_id OR neighbor_id = $user_id)

-- forget_user_examples: what was strange about a person's rows
UPDATE embsql.source_checks SET example = NULL
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND strpos(example, $user_id) > 0

-- forget_user_embeddings: a person's vectors
DELETE FROM embsql.user_embeddings WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND user_id = $user_id

-- forget_user_cell_sizes: a cell has one vector less, by which it is known how many are read
UPDATE embsql.cells SET size = size - 1
WHERE entity = 'user' AND (run_id, cell) IN (
    SELECT (member.run_id, member.cell)
    FROM embsql.cell_members AS member
    WHERE member.run_id = ANY (CAST($runs AS BIGINT[])) AND member.entity = 'user' AND member.entity_id = $user_id
)

-- forget_user_cells: where a person's vector lies
DELETE FROM embsql.cell_members
WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND entity = 'user' AND entity_id = $user_id

-- forget_user_histories: in which order they did it
DELETE FROM embsql.histories WHERE run_id = ANY (CAST($runs AS BIGINT[])) AND user_id = $user_id

-- forget_user_cohorts: the cohorts a person was put in
DELETE FROM embsql.cohorts WHERE user_id = $user_id

-- ended_runs: runs that came to nothing
SELECT run.run_id FROM embsql.run_records AS run WHERE run.status NOT IN ('training', 'ready') ORDER BY run.run_id ASC

-- selects_of: what runs that hold a person, or came to nothing, remember of their sources
SELECT run.run_id, run.params, run.source_sql
FROM embsql.run_records AS run
WHERE run.run_id = ANY (CAST($runs AS BIGINT[])) AND (
    run.status NOT IN ('training', 'ready')
    OR EXISTS (
        SELECT 1 FROM embsql.user_embeddings AS person
        WHERE person.run_id = run.run_id AND person.user_id = $user_id
    )
    OR EXISTS (
        SELECT 1 FROM embsql.interactions AS past WHERE past.run_id = run.run_id AND past.user_id = $user_id
    )
)

-- outlived_selects: the same of runs that came to nothing after somebody was forgotten
SELECT run.run_id, run.params, run.source_sql
FROM embsql.run_records AS run
WHERE run.status NOT IN ('training', 'ready') AND run.run_id IN (SELECT gone.run_id FROM embsql.forgotten AS gone)

-- mark_selects: a run of whose sources not all is kept
UPDATE embsql.run_records SET params = $params, source_sql = $source_sql WHERE run_id = $run_id

-- forget_words_run_records: where why a run failed names a person
UPDATE embsql.run_records SET error = replace(error, $named, $blank) WHERE strpos(error, $named) > 0

-- forget_words_gates: where what its gate says does
UPDATE embsql.gates SET reason = replace(reason, $named, $blank) WHERE strpos(reason, $named) > 0

-- forget_words_trials: where what its search says does
UPDATE embsql.trials SET error = replace(error, $named, $blank) WHERE strpos(error, $named) > 0

-- strangers_top_items: rows of people who were forgotten while the rows were made
DELETE FROM embsql.top_items AS best
WHERE best.run_id = $run_id AND NOT EXISTS (
    SELECT 1 FROM embsql.user_embeddings AS person WHERE person.run_id = $run_id AND person.user_id = best.user_id
)

-- strangers_neighbors: the same of who is near whom
DELETE FROM embsql.neighbors AS near
WHERE near.run_id = $run_id AND near.entity = 'user' AND (
    NOT EXISTS (
        SELECT 1 FROM embsql.user_embeddings AS person
        WHERE person.run_id = $run_id AND person.user_id = near.entity_id
    )
    OR NOT EXISTS (
        SELECT 1 FROM embsql.user_embeddings AS person
        WHERE person.run_id = $run_id AND person.user_id = near.neighbor_id
    )
)

-- recount_clusters: groups of which some members have gone
UPDATE embsql.clusters AS found SET size = counted.size, radius = counted.radius
FROM (
    SELECT
        one.clustering_name, one.cluster_id, count(member.entity_id) AS size,
        coalesce(sqrt(avg(member.distance * member.distance)), 0) AS radius
    FROM embsql.clusters AS one
    LEFT JOIN embsql.cluster_members AS member
        ON member.run_id = one.run_id AND member.entity_kind = one.entity_kind
        AND member.clustering_name = one.clustering_name AND member.cluster_id = one.cluster_id
    WHERE one.run_id = $run_id AND one.entity_kind = 'user'
    GROUP BY one.clustering_name, one.cluster_id
) AS counted
WHERE found.run_id = $run_id AND found.entity_kind = 'user' AND found.clustering_name = counted.clustering_name
    AND found.cluster_id = counted.cluster_id AND found.size <> counted.size

-- strangers_cluster_members: the same of groups
DELETE FROM embsql.cluster_members AS member
WHERE member.run_id = $run_id AND member.entity_kind = 'user' AND NOT EXISTS (
    SELECT 1 FROM embsql.user_embeddings AS person
    WHERE person.run_id = $run_id AND person.user_id = member.entity_id
)

-- strangers_maps: the same of maps
DELETE FROM embsql.maps AS point
WHERE point.run_id = $run_id AND point.entity_kind = 'user' AND NOT EXISTS (
    SELECT 1 FROM embsql.user_embeddings AS person
    WHERE person.run_id = $run_id AND person.user_id = point.entity_id
)

-- doctor: what SQL can see of what is wrong
SELECT found.severity, found.subject, found.finding, found.remedy FROM embsql.doctor() AS found

-- runs_kept: how many, and how large their vectors are
SELECT
    CAST(count(*) AS VARCHAR) || ', with '
        || CAST(CAST(coalesce(sum(4.0 * run.dim * (run.items + run.users)), 0) / 1000000 AS DECIMAL(18, 1)) AS VARCHAR)
        || ' MB of vectors' AS kept
FROM embsql.run_records AS run
WHERE run.status = 'ready'

-- threads: how many an embedded database takes
SELECT current_setting('threads') AS threads

-- database_version: of the database
SELECT version() AS version
