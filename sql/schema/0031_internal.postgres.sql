-- What only questions and commands call lies in schema embsql_internal from here on (docs/decisions/0032). Moved, and
-- not made anew, because indexes of runs, triggers, and views of a caller's stand on it.
DO $embsql$
DECLARE
    earlier regprocedure;
BEGIN
    FOR earlier IN
        SELECT f.oid FROM pg_proc AS f
        WHERE f.pronamespace = 'embsql'::regnamespace AND f.proname IN (
            'abandon_runs', 'act_for', 'alignment', 'allow', 'allow_memory', 'append_bias',
            'arguments_kept', 'arguments_without', 'as_double', 'as_object', 'as_vector', 'asker',
            'attach_partition', 'beat_lease', 'begin_run', 'bigram_similarity', 'build_index',
            'check_model', 'check_rights', 'check_run', 'checked_name', 'checked_options',
            'checked_text', 'claim_job', 'clear_rows', 'close_stage', 'cohort_members', 'complete_run',
            'contains', 'cosine', 'database_findings', 'decides', 'dedup_key',
            'delete_orphaned_top_items', 'drop_ended', 'drop_partition', 'drop_rows', 'drop_sources',
            'drop_unread', 'enqueue', 'enqueue_under', 'ensure_model', 'feature_tokens',
            'finite_vector', 'fold_in_system', 'follow_run', 'forget_in_jobs', 'forget_rows',
            'forget_selects', 'forget_statistics', 'four_decimals', 'frobenius_norm_squared', 'give_up',
            'guard', 'has_index', 'has_role', 'hold_trainings', 'holds', 'id_text_of', 'id_texts',
            'index_expression', 'is_training', 'item_vector', 'items_of', 'join_partition',
            'known_features', 'known_items', 'known_users', 'leave_job', 'leave_training', 'lock_run',
            'lock_runs', 'log_event', 'log_phase', 'make_partition', 'matmul_transposed', 'matvec',
            'may_drop', 'may_train', 'may_write', 'message_without', 'model_part', 'nearest',
            'newton_schulz_step', 'next_run', 'note_cleared', 'note_forgotten', 'note_job', 'note_row',
            'note_run', 'oldest_snapshot', 'one_select', 'open_partition', 'open_sources', 'open_stage',
            'options_without', 'owns', 'plain_type', 'point', 'popular', 'put_cohorts', 'raise_no_run',
            'reader_of', 'redact', 'release_claims', 'release_lease', 'remove_model', 'request_cancel',
            'request_stop', 'row_limit', 'run_part', 'run_score', 'scale_matrix', 'scaled',
            'select_names', 'select_without', 'selects_in', 'selects_of', 'serves', 'setting',
            'shared_vectors', 'shut_partition', 'solve', 'sources_of', 'stay_local', 'take_lease',
            'tower', 'tower_number', 'trains', 'transposed', 'user_vector', 'users_of', 'utc_now',
            'vector_from', 'wanted_indexes', 'weighted_sum', 'writer', 'x_ln_x', 'zip_history',
            'zip_lists'
        )
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET SCHEMA embsql_internal', earlier);
    END LOOP;
END
$embsql$;

-- Whoever may ask goes on asking, where the roles are not installed too.
DO $embsql$
DECLARE
    asks text;
BEGIN
    FOR asks IN
        SELECT CASE entry.grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(entry.grantee AS regrole) AS text) END
        FROM pg_namespace AS n
        CROSS JOIN LATERAL aclexplode(n.nspacl) AS entry
        WHERE n.nspname = 'embsql' AND entry.privilege_type = 'USAGE'
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA embsql_internal TO %s', asks);
    END LOOP;
END
$embsql$;
