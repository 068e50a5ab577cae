-- What PostgreSQL says in its own way: a run's large rows are partitions, and commands wait in a queue.

-- is_installed: whether there is anything to look at yet
SELECT 1 AS found
FROM information_schema.columns AS c
WHERE c.table_catalog = current_database() AND c.table_schema = 'embsql' AND c.table_name = 'surface'
    AND c.column_name = 'surface'

-- tables: whatever tables and views the schema has, whoever made them
SELECT t.table_name, CASE t.table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS kind
FROM information_schema.tables AS t
WHERE t.table_catalog = current_database() AND t.table_schema = 'embsql'

-- has_file_id: never: on a server questions know no file
SELECT 1 AS found WHERE FALSE

-- unread_networks: never: a function here is planned where it is called
SELECT 1 AS found WHERE FALSE

-- unread_cells: never: a server has indexes
SELECT 1 AS found WHERE FALSE

-- cells_of: never: as unread_cells
SELECT 1 AS found WHERE CAST($run_id AS bigint) IS NULL

-- damages: what was installed and no longer finds what it stands on; installing again mends it
SELECT 'schema embsql_runs is gone' AS reason
WHERE to_regnamespace('embsql_runs') IS NULL
UNION ALL
SELECT 'schema embsql_internal is gone'
WHERE to_regnamespace('embsql_internal') IS NULL
UNION ALL
SELECT 'pgvector has moved to schema ' || quote_ident(home.nspname)
FROM pg_proc AS f
JOIN pg_extension AS extension ON extension.extname = 'vector'
JOIN pg_namespace AS home ON home.oid = extension.extnamespace
WHERE f.pronamespace = to_regnamespace('embsql') AND f.proname = 'live_run'
    AND NOT EXISTS (
        SELECT FROM unnest(f.proconfig) AS setting -- a session may have put quotes around every name
        WHERE replace(setting, '"', '') = 'search_path=pg_catalog, ' || replace(home.nspname, '"', '') || ', pg_temp'
    )

-- lost: what no answer needs and a dump may leave behind; installing again makes it anew
SELECT 'schema embsql_sources is gone' AS reason WHERE to_regnamespace('embsql_sources') IS NULL

-- has_ml: whether the schema ml has embsql's functions
SELECT 1 AS found
FROM pg_proc AS f
JOIN pg_namespace AS home ON home.oid = f.pronamespace
WHERE home.nspname = 'ml' AND f.proname = 'training_info'
    AND starts_with(obj_description(f.oid, 'pg_proc'), 'training_info(model text)')

-- not_handed_over: tables behind runs that `install --roles` has still to give to the owner
SELECT c.relname AS name
FROM pg_class AS c
WHERE c.relnamespace = 'embsql_runs'::regnamespace AND c.relkind = 'r' AND c.relowner <> 'embsql_owner'::regrole

-- next_run: a number no other run has
SELECT embsql_internal.next_run() AS run_id

-- take_lease: one trainer per model; a lease whose heart stopped is taken over
SELECT embsql_internal.take_lease($model_name, $owner, $run_id, $host, $pid, $process)

-- heartbeat: a sign of life; changes no row once the lease is another's
SELECT embsql_internal.beat_lease($model_name, $owner)

-- release: the end of a lease
SELECT embsql_internal.release_lease($model_name, $owner)

-- drop_unread: partitions of runs that are gone, as soon as nobody can read them
SELECT embsql_internal.drop_unread()

-- forget_statistics: a person among the values that the server has noted of tables
SELECT embsql_internal.forget_statistics(CAST($runs AS bigint[]), $user_id)

-- request_cancel: takes a model's jobs off the queue, and asks its trainer to stop
SELECT asked.what FROM embsql_internal.request_cancel($model_name) AS asked

-- is_own: whether what a run remembers of its sources may be run as this session: it was who asks now who wrote it
SELECT run.run_id FROM embsql.run_records AS run WHERE run.run_id = $run_id AND run.made_by = embsql_internal.asker()

-- ensure_model: the model's row, made on first use
SELECT embsql_internal.ensure_model($model_name)

-- begin_run: a run as it starts
SELECT embsql_internal.begin_run($run_id, $model_name, $algorithm, $params, $source_sql, $seed, $versions)

-- name_columns: what the source calls its columns, where that is not what embsql does
SELECT embsql_internal.note_run($run_id, jsonb_build_object(
    'user_col', CAST($user_col AS text), 'item_col', CAST($item_col AS text), 'weight_col', CAST($weight_col AS text),
    'time_col', CAST($time_col AS text)
))

-- note_newest: how far a run's events go, from where on others are new to it
SELECT embsql_internal.note_run($run_id, jsonb_build_object('newest_event', CAST($newest_event AS bigint)))

-- note_parent: of which run one was made by folding in
SELECT embsql_internal.note_run($run_id, jsonb_build_object('parent_run', CAST($parent_run AS bigint)))

-- copy_interactions: what a run was trained on into one that is made of it, but for some users
SELECT embsql_internal.copy_rows('interactions', $run_id, $parent_run, CAST($users AS text[]))

-- copy_user_embeddings: its users, but for some
SELECT embsql_internal.copy_rows('user_embeddings', $run_id, $parent_run, CAST($users AS text[]))

-- copy_histories: what its network reads of them, but for some
SELECT embsql_internal.copy_histories($run_id, $parent_run, CAST($users AS text[]))

-- copy_item_embeddings: its items, with how many users each has now
SELECT embsql_internal.copy_items($run_id, $parent_run)

-- finish_run: a run whose vectors are all written
SELECT embsql_internal.note_run($run_id, jsonb_build_object(
    'status', 'ready', 'source_hash', CAST($source_hash AS text), 'dim', CAST($dim AS integer),
    'similarity', CAST($similarity AS text), 'users', CAST($users AS bigint), 'items', CAST($items AS bigint),
    'interactions', CAST($interactions AS bigint), 'checksum', CAST($checksum AS text)
))

-- end_run: a run that did not get there
SELECT embsql_internal.note_run(
    $run_id, jsonb_build_object('status', CAST($status AS text), 'error', CAST($error AS text))
)

-- set_gate_reason: why a ready run was not promoted
SELECT embsql_internal.note_run($run_id, jsonb_build_object('error', CAST($error AS text)))

-- set_params: the options that a search has found
SELECT embsql_internal.note_run($run_id, jsonb_build_object('params', CAST($params AS text)))

-- set_algorithm: the algorithm that was chosen for a run
SELECT embsql_internal.note_run($run_id, jsonb_build_object('algorithm', CAST($algorithm AS text)))

-- abandoned: runs of a model that say they train although nobody holds the lease
SELECT embsql_internal.abandon_runs($model_name, $run_id)

-- promote: moves the pointer if nobody moved it meanwhile
SELECT embsql_internal.point($model_name, $live_run, $earlier_runs, $expected)

-- set_keep: how many runs a model keeps; earlier ones than those are no longer gone back to
SELECT embsql_internal.set_keep($model_name, $keep)

-- mark_promoted: when a run was made live
SELECT embsql_internal.mark_promoted($run_id)

-- log_event: one line of the audit trail
SELECT embsql_internal.log_event($model_name, $run_id, $event, $detail)

-- log_epoch: one figure of training
SELECT embsql_internal.note_row('training_log', jsonb_build_object(
    'run_id', CAST($run_id AS bigint), 'epoch', CAST($epoch AS integer), 'metric', CAST($metric AS text),
    'value', CAST($value AS text), 'logged_at', embsql_internal.utc_now()
))

-- log_phase: which phase a run is in, and what each has taken
SELECT embsql_internal.log_phase($run_id, $phase, $phase_seconds)

-- log_trial: one setting of a search
SELECT embsql_internal.note_row('trials', jsonb_build_object(
    'run_id', CAST($run_id AS bigint), 'trial', CAST($trial AS integer), 'params', CAST($params AS text),
    'metric', CAST($metric AS text), 'value', CAST($value AS text), 'seconds', CAST($seconds AS text),
    'status', CAST($status AS text), 'error', CAST($error AS text), 'algorithm', CAST($algorithm AS text),
    'ci_low', CAST($ci_low AS text), 'ci_high', CAST($ci_high AS text), 'reason', CAST($reason AS text)
))

-- judge_trial: why a candidate was chosen, or was not
SELECT embsql_internal.judge_trial($run_id, $trial, $chosen, $reason)

-- judge: what the gate compared, and what it decided
SELECT embsql_internal.note_row('gates', jsonb_build_object(
    'run_id', CAST($run_id AS bigint), 'verdict', CAST($verdict AS text), 'split', CAST($split AS text),
    'metric', CAST($metric AS text), 'k', CAST($k AS integer), 'value', CAST($value AS text),
    'popular_value', CAST($popular_value AS text), 'compared_run', CAST($compared_run AS bigint),
    'basis', CAST($basis AS text), 'users', CAST($users AS bigint), 'left_out', CAST($left_out AS bigint),
    'new_value', CAST($new_value AS text), 'live_value', CAST($live_value AS text),
    'difference', CAST($difference AS text), 'ci_low', CAST($ci_low AS text), 'ci_high', CAST($ci_high AS text),
    'tolerance', CAST($tolerance AS text), 'reason', CAST($reason AS text)
))

-- forget_metrics: a run is measured anew
SELECT embsql_internal.clear_rows('metrics', $run_id, NULL, $split)

-- lock_run: keeps others from a finished run while something is made of it; changes no row once the run is gone
SELECT embsql_internal.lock_run($run_id)

-- lock_runs: keeps others from runs while they are changed
SELECT embsql_internal.lock_runs(CAST($runs AS bigint[]))

-- clear_clusters: the clusters of one name
SELECT embsql_internal.clear_rows('clusters', $run_id, $entity, $clustering_name)

-- clear_cluster_members: who is in them
SELECT embsql_internal.clear_rows('cluster_members', $run_id, $entity, $clustering_name)

-- clear_maps: a map by one method
SELECT embsql_internal.clear_rows('maps', $run_id, $entity, $method_name)

-- watch: where a model's new events are
SELECT embsql.watch($model_name, $source, $options)

-- drop_watch: a model has none any more
SELECT embsql_internal.drop_watch($model_name)

-- fresh_source: what the watched table has since a run, as a source
SELECT event.* FROM embsql_internal.fresh_events(embsql.live_run('$model_name')) AS event

-- known_users: those of some users that a run has a vector of
SELECT person.user_id
FROM embsql.user_embeddings AS person
WHERE person.run_id = $run_id AND person.user_id = ANY (CAST($users AS text[]))

-- histories: what some users did before a run was trained
SELECT past.user_id, past.item_id, past.weight, past.last_time
FROM embsql.interactions AS past
WHERE past.run_id = $run_id AND past.user_id = ANY (CAST($users AS text[]))

-- past_events: what a network reads of some users, in the order of each
SELECT past.user_id, past.item_id, past.event_time
FROM embsql.histories AS past
WHERE past.run_id = $run_id AND past.user_id = ANY (CAST($users AS text[]))
ORDER BY past.user_id ASC, past.position ASC

-- states: what a network makes of some users' events, which are in order
SELECT
    history.person,
    embsql_internal.network_state($run_id, history.items, history.moments) AS embedding
FROM (
    SELECT
        event.person, array_agg(event.item_id ORDER BY event.ordinal) AS items,
        array_agg(embsql_internal.moment(event.event_time) ORDER BY event.ordinal) AS moments
    FROM unnest(CAST($users AS bigint[]), CAST($items AS text[]), CAST($times AS bigint[]))
        WITH ORDINALITY AS event (person, item_id, event_time, ordinal)
    GROUP BY event.person
) AS history
ORDER BY history.person ASC

-- drop_model: a model whose runs are gone
SELECT embsql_internal.remove_model($model_name)

-- drop_run: a run and all of its rows
SELECT embsql_internal.drop_rows('run_records', $run_id)

-- drop_clusters: part of dropping a run
SELECT embsql_internal.drop_rows('clusters', $run_id)

-- drop_cluster_members: part of dropping a run
SELECT embsql_internal.drop_rows('cluster_members', $run_id)

-- drop_maps: part of dropping a run
SELECT embsql_internal.drop_rows('maps', $run_id)

-- drop_top_items: part of dropping a run
SELECT embsql_internal.drop_rows('top_items', $run_id)

-- drop_neighbors: part of dropping a run
SELECT embsql_internal.drop_rows('neighbors', $run_id)

-- drop_forgotten: part of dropping a run, and of its end
SELECT embsql_internal.drop_rows('forgotten', $run_id)

-- hold_trainings: keeps runs that are being made from ending meanwhile, and has jobs remember it
SELECT embsql_internal.hold_trainings()

-- note_forgotten: a person who is to go from every run that has rows, or will have
SELECT embsql_internal.note_forgotten($salt, $person)

-- cleared: runs that no longer hold a person
SELECT embsql_internal.note_cleared(CAST($runs AS bigint[]), CAST($people AS text[]))

-- blank_examples: what a run that outlived somebody has to show; it was written by who does not know whom
SELECT embsql_internal.redact('examples', $run_id)

-- blank_error: why such a run failed
SELECT embsql_internal.redact('error', $run_id)

-- drop_ended: nothing is left to be done in runs that failed
SELECT embsql_internal.drop_ended()

-- forget_user_clusters: what group a person is in
SELECT FROM generate_series(1, embsql_internal.forget_rows('cluster_members', CAST($runs AS bigint[]), $user_id))

-- forget_user_shares: what they count for in groups
SELECT embsql_internal.forget_rows('shares', CAST($runs AS bigint[]), $user_id)

-- forget_user_labels: the groups of people that were called after one
SELECT FROM generate_series(1, embsql_internal.forget_rows('labels', CAST($runs AS bigint[]), $user_id))

-- forget_user_maps: where a person is on maps
SELECT FROM generate_series(1, embsql_internal.forget_rows('maps', CAST($runs AS bigint[]), $user_id))

-- forget_user_top_items: what a person would be shown
SELECT FROM generate_series(1, embsql_internal.forget_rows('top_items', CAST($runs AS bigint[]), $user_id))

-- forget_user_fresh: what a person did since is read in a table that is its owner's, who lets it go or not
SELECT FROM generate_series(1, 0)

-- forget_user_neighbors: whom a person is near
SELECT FROM generate_series(1, embsql_internal.forget_rows('neighbors', CAST($runs AS bigint[]), $user_id))

-- forget_user_examples: what was strange about a person's rows
SELECT FROM generate_series(1, embsql_internal.forget_rows('examples', CAST($runs AS bigint[]), $user_id))

-- forget_user_embeddings: a person's vectors
SELECT FROM generate_series(1, embsql_internal.forget_rows('user_embeddings', CAST($runs AS bigint[]), $user_id))

-- forget_user_cells: a server has none
SELECT WHERE CAST($runs AS bigint[]) IS NULL AND CAST($user_id AS text) IS NULL

-- forget_user_interactions: what a person did
SELECT FROM generate_series(1, embsql_internal.forget_rows('interactions', CAST($runs AS bigint[]), $user_id))

-- forget_user_histories: in which order they did it
SELECT FROM generate_series(1, embsql_internal.forget_rows('histories', CAST($runs AS bigint[]), $user_id))

-- forget_user_cohorts: the cohorts a person was put in
SELECT FROM generate_series(1, embsql_internal.forget_rows('cohorts', '{}', $user_id))

-- forget_in_jobs: where what went wrong names a person, and where a job does
SELECT embsql_internal.forget_in_jobs($user_id)

-- forget_selects: where what runs remember of their sources names a person
SELECT embsql_internal.forget_selects(CAST($runs AS bigint[]), $user_id)

-- strangers_top_items: rows of people who were forgotten while the rows were made
SELECT embsql_internal.delete_orphaned_top_items('top_items', $run_id)

-- strangers_neighbors: the same of who is near whom
SELECT embsql_internal.delete_orphaned_top_items('neighbors', $run_id)

-- strangers_cluster_members: the same of groups
SELECT embsql_internal.delete_orphaned_top_items('cluster_members', $run_id)

-- strangers_maps: the same of maps
SELECT embsql_internal.delete_orphaned_top_items('maps', $run_id)

-- text_vectors: those of the texts asked for that an encoder of one's own has read before
SELECT kept.content, kept.embedding
FROM embsql.text_vectors AS kept
WHERE kept.content = ANY (CAST($contents AS text[])) AND kept.made_by = session_user

-- check_model: whether a model is one's own to change, before there is much to do
SELECT embsql_internal.check_model($model_name)

-- threads: the server's own
SELECT 0 AS threads WHERE FALSE

-- database_version: of the server and its vectors
SELECT current_setting('server_version') || ' with pgvector ' || e.extversion AS version
FROM pg_extension AS e
WHERE e.extname = 'vector'
