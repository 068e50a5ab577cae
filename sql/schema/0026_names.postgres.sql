-- The field's words for what had others (docs/decisions/0022-the-fields-words.md). Nothing else knows the old ones.
ALTER TABLE embsql.validations RENAME TO source_checks;
ALTER TABLE embsql.solvers RENAME TO fold_in_settings;
ALTER TABLE embsql.gram RENAME TO item_gramian;
ALTER TABLE embsql.item_scales RENAME TO item_weights;
ALTER TABLE embsql.jobs RENAME COLUMN words TO arguments;
ALTER TABLE embsql.jobs RENAME COLUMN answer TO result;
ALTER TABLE embsql.jobs RENAME COLUMN fingerprint TO dedup_key;
UPDATE embsql.jobs SET command = 'materialize' WHERE command = 'materialise';

-- Keys of JSON, which stand as "key": and so cannot be part of a text.
UPDATE embsql.fold_in_settings SET settings = replace(replace(replace(replace(replace(replace(replace(replace(replace(settings,
    '"curve0": ', '"confidence_offset": '),
    '"curve1": ', '"confidence_scale": '),
    '"pull0": ', '"target_offset": '),
    '"unseen": ', '"unobserved_weight": '),
    '"nu": ', '"reg_exponent": '),
    '"mean": ', '"global_mean": '),
    '"damping": ', '"bias_damping": '),
    '"usual": ', '"default_rating": '),
    '"scale": ', '"weight_scale": ');

-- The options of an algorithm: of its runs, and of what a search tried.

UPDATE embsql.trials SET params = replace(replace(replace(params,
    '"alpha0": ', '"unobserved_weight": '),
    '"steps": ', '"cg_steps": '),
    '"nu": ', '"reg_exponent": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'als');

UPDATE embsql.trials SET params = replace(replace(params,
    '"worth": ', '"prior_strength": '),
    '"alpha0": ', '"unobserved_weight": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'fusion');

UPDATE embsql.trials SET params = replace(replace(replace(replace(params,
    '"given": ', '"fixed_side": '),
    '"nu": ', '"reg_exponent": '),
    '"alpha0": ', '"unobserved_weight": '),
    '"vectors": ', '"vector_col": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'dual');

UPDATE embsql.trials SET params = replace(replace(replace(replace(params,
    '"liked": ', '"like_threshold": '),
    '"disliked": ', '"dislike_weight": '),
    '"separate": ', '"separate_profiles": '),
    '"vectors": ', '"vector_col": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'content');

UPDATE embsql.trials SET params = replace(replace(params,
    '"vectors": ', '"vector_col": '),
    '"ids": ', '"item_id_embedding": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'neural_content');

UPDATE embsql.trials SET params = replace(replace(replace(params,
    '"dynamic": ', '"dynamic_window": '),
    '"exponent": ', '"ns_exponent": '),
    '"popularity": ', '"popularity_weight": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'item2vec');

UPDATE embsql.trials SET params = replace(replace(replace(replace(replace(replace(replace(replace(replace(params,
    '"exponent": ', '"ns_exponent": '),
    '"popularity": ', '"popularity_exponent": '),
    '"walks": ', '"walks_per_node": '),
    '"length": ', '"walk_length": '),
    '"neighbours": ', '"n_neighbors": '),
    '"least": ', '"min_similarity": '),
    '"weights": ', '"edge_weight": '),
    '"within": ', '"max_event_distance": '),
    '"gap": ', '"max_time_gap": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'node2vec');

UPDATE embsql.trials SET params = replace(replace(replace(replace(replace(replace(replace(params,
    '"push": ', '"negative_weight": '),
    '"user_dropout": ', '"user_embedding_dropout": '),
    '"memory": ', '"negative_queue_size": '),
    '"user_ids": ', '"user_id_embedding": '),
    '"width": ', '"hidden_dim": '),
    '"layers": ', '"hidden_layers": '),
    '"history": ', '"history_embedding": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'two_tower');

UPDATE embsql.trials SET params = replace(replace(replace(replace(params,
    '"push": ', '"negative_weight": '),
    '"user_dropout": ', '"user_embedding_dropout": '),
    '"clock": ', '"time_features": '),
    '"weighted": ', '"weighted_loss": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm IN ('gru4rec', 'sasrec', 'bert4rec', 'youtube_dnn'));

UPDATE embsql.trials SET params = replace(replace(params,
    '"blocks": ', '"n_layers": '),
    '"heads": ', '"n_heads": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm IN ('sasrec', 'bert4rec'));

UPDATE embsql.trials SET params = replace(params,
    '"layers": ', '"n_layers": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'gru4rec');

UPDATE embsql.trials SET params = replace(replace(replace(params,
    '"dropout": ', '"history_dropout": '),
    '"layers": ', '"hidden_layers": '),
    '"width": ', '"hidden_dim": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'youtube_dnn');

UPDATE embsql.trials SET params = replace(replace(params,
    '"encoder": "pooling"', '"encoder": "mean"'),
    '"encoder": "recurrent"', '"encoder": "gru"')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'neural_content');

UPDATE embsql.trials SET params = replace(params,
    '"method": "counts"', '"method": "ppmi"')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'item2vec');

UPDATE embsql.trials SET params = replace(params,
    '"method": "normalised"', '"method": "normalized"')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm = 'svd');

UPDATE embsql.trials SET params = replace(params,
    '"calibration": ', '"gbce_t": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm IN ('gru4rec', 'sasrec', 'bert4rec', 'youtube_dnn') AND r.params LIKE '%"loss": "gbce"%');

UPDATE embsql.trials SET params = replace(params,
    '"calibration": ', '"sampling_correction": ')
WHERE run_id IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.algorithm IN ('gru4rec', 'sasrec', 'bert4rec', 'youtube_dnn'));

UPDATE embsql.runs SET params = replace(replace(replace(params,
    '"alpha0": ', '"unobserved_weight": '),
    '"steps": ', '"cg_steps": '),
    '"nu": ', '"reg_exponent": ')
WHERE algorithm = 'als';

UPDATE embsql.runs SET params = replace(replace(params,
    '"worth": ', '"prior_strength": '),
    '"alpha0": ', '"unobserved_weight": ')
WHERE algorithm = 'fusion';

UPDATE embsql.runs SET params = replace(replace(replace(replace(params,
    '"given": ', '"fixed_side": '),
    '"nu": ', '"reg_exponent": '),
    '"alpha0": ', '"unobserved_weight": '),
    '"vectors": ', '"vector_col": ')
WHERE algorithm = 'dual';

UPDATE embsql.runs SET params = replace(replace(replace(replace(params,
    '"liked": ', '"like_threshold": '),
    '"disliked": ', '"dislike_weight": '),
    '"separate": ', '"separate_profiles": '),
    '"vectors": ', '"vector_col": ')
WHERE algorithm = 'content';

UPDATE embsql.runs SET params = replace(replace(params,
    '"vectors": ', '"vector_col": '),
    '"ids": ', '"item_id_embedding": ')
WHERE algorithm = 'neural_content';

UPDATE embsql.runs SET params = replace(replace(replace(params,
    '"dynamic": ', '"dynamic_window": '),
    '"exponent": ', '"ns_exponent": '),
    '"popularity": ', '"popularity_weight": ')
WHERE algorithm = 'item2vec';

UPDATE embsql.runs SET params = replace(replace(replace(replace(replace(replace(replace(replace(replace(params,
    '"exponent": ', '"ns_exponent": '),
    '"popularity": ', '"popularity_exponent": '),
    '"walks": ', '"walks_per_node": '),
    '"length": ', '"walk_length": '),
    '"neighbours": ', '"n_neighbors": '),
    '"least": ', '"min_similarity": '),
    '"weights": ', '"edge_weight": '),
    '"within": ', '"max_event_distance": '),
    '"gap": ', '"max_time_gap": ')
WHERE algorithm = 'node2vec';

UPDATE embsql.runs SET params = replace(replace(replace(replace(replace(replace(replace(params,
    '"push": ', '"negative_weight": '),
    '"user_dropout": ', '"user_embedding_dropout": '),
    '"memory": ', '"negative_queue_size": '),
    '"user_ids": ', '"user_id_embedding": '),
    '"width": ', '"hidden_dim": '),
    '"layers": ', '"hidden_layers": '),
    '"history": ', '"history_embedding": ')
WHERE algorithm = 'two_tower';

UPDATE embsql.runs SET params = replace(replace(replace(replace(params,
    '"push": ', '"negative_weight": '),
    '"user_dropout": ', '"user_embedding_dropout": '),
    '"clock": ', '"time_features": '),
    '"weighted": ', '"weighted_loss": ')
WHERE algorithm IN ('gru4rec', 'sasrec', 'bert4rec', 'youtube_dnn');

UPDATE embsql.runs SET params = replace(replace(params,
    '"blocks": ', '"n_layers": '),
    '"heads": ', '"n_heads": ')
WHERE algorithm IN ('sasrec', 'bert4rec');

UPDATE embsql.runs SET params = replace(params,
    '"layers": ', '"n_layers": ')
WHERE algorithm = 'gru4rec';

UPDATE embsql.runs SET params = replace(replace(replace(params,
    '"dropout": ', '"history_dropout": '),
    '"layers": ', '"hidden_layers": '),
    '"width": ', '"hidden_dim": ')
WHERE algorithm = 'youtube_dnn';

UPDATE embsql.runs SET params = replace(replace(params,
    '"encoder": "pooling"', '"encoder": "mean"'),
    '"encoder": "recurrent"', '"encoder": "gru"')
WHERE algorithm = 'neural_content';

UPDATE embsql.runs SET params = replace(params,
    '"method": "counts"', '"method": "ppmi"')
WHERE algorithm = 'item2vec';

UPDATE embsql.runs SET params = replace(params,
    '"method": "normalised"', '"method": "normalized"')
WHERE algorithm = 'svd';

UPDATE embsql.runs SET params = replace(params,
    '"calibration": ', '"gbce_t": ')
WHERE algorithm IN ('gru4rec', 'sasrec', 'bert4rec', 'youtube_dnn') AND params LIKE '%"loss": "gbce"%';

UPDATE embsql.runs SET params = replace(params,
    '"calibration": ', '"sampling_correction": ')
WHERE algorithm IN ('gru4rec', 'sasrec', 'bert4rec', 'youtube_dnn');

UPDATE embsql.runs SET params = replace(params, '"tune": {', '"search": {');

UPDATE embsql.runs SET algorithm = 'half_als' WHERE algorithm = 'dual';

UPDATE embsql.events SET event = 'materialize' WHERE event = 'materialise';

UPDATE embsql.training_log SET metric = replace(metric, 'held_out_hits_worth_', 'recall@20_prior_')
WHERE metric LIKE 'held_out_hits_worth_%';

-- Indexes of runs are on this function: with another name they stay.
DO $embsql$
DECLARE
    earlier regprocedure;
BEGIN
    FOR earlier IN
        SELECT f.oid FROM pg_proc AS f WHERE f.pronamespace = 'embsql'::regnamespace AND f.proname = 'biased'
    LOOP
        EXECUTE format('ALTER FUNCTION %s RENAME TO append_bias', earlier);
    END LOOP;
END
$embsql$;

-- Functions that have another name now, or other names of arguments and columns, which CREATE OR REPLACE refuses.
DO $embsql$
DECLARE
    earlier text;
    dependent text;
BEGIN
    SELECT string_agg(CAST(CAST(f.oid AS regprocedure) AS text), ', ') INTO earlier
    FROM pg_proc AS f
    WHERE f.pronamespace = 'embsql'::regnamespace AND f.proname IN (
        'as_exact', 'blank_words', 'cancel', 'checked_options', 'checked_text', 'claim_job',
        'cluster', 'cohort_drift', 'compare', 'drift', 'drop_model', 'drop_run', 'enqueue',
        'enqueue_under', 'evaluate', 'features', 'fingerprint', 'forget', 'forget_strangers',
        'forget_words', 'given', 'hand_back', 'history', 'hold_run', 'hold_runs', 'indexed',
        'know_model', 'leave_job', 'leave_training', 'likeness', 'materialise', 'no_such_run',
        'note_job', 'products', 'project', 'promote', 'register_embeddings', 'rollback', 'rotated',
        'shrunk', 'solve', 'sources_of', 'squared_size', 'together', 'towards_orthogonal',
        'tower_words', 'train', 'words_kept', 'words_without'
    );
    IF earlier IS NOT NULL THEN
        EXECUTE 'DROP FUNCTION ' || earlier; -- at once, because some call others
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS dependent = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'embsql cannot be installed: %, which has other names in this version. Keep the definition (for a view, SELECT pg_get_viewdef(...)), drop it, install again, and create it with the new names',
        dependent;
END
$embsql$;
