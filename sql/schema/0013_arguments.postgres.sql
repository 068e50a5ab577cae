-- Arguments may come as other types from here on (docs/decisions/0012). CREATE OR REPLACE would leave the functions of
-- the earlier types standing, and calls would find two.
DO $embsql$
DECLARE
    earlier regprocedure;
    dependent text;
BEGIN
    FOR earlier IN
        SELECT f.oid
        FROM pg_proc AS f
        WHERE f.pronamespace = 'embsql'::regnamespace AND f.proname IN (
            'lookalike_quality', 'lookalikes', 'nearest_cluster', 'cohort_drift', 'cohort_items', 'cohort_profiles',
            'cohort_similarity', 'coherence', 'history_similarity', 'embed_item', 'embed_user', 'explain',
            'explain_similarity', 'fold_in', 'rank_items', 'recommend', 'recommend_from', 'recommend_new',
            'recommend_users', 'score', 'item_embedding', 'nearest_items', 'nearest_users', 'similar_items',
            'similar_users', 'user_embedding', 'nearest', 'popular', 'given', 'cluster', 'materialise', 'forget'
        )
    LOOP
        EXECUTE format('DROP FUNCTION %s', earlier);
    END LOOP;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS dependent = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'embsql cannot be installed: %, which takes other types of arguments in this version. Keep the definition (for a view, SELECT pg_get_viewdef(...)), drop it, install again, and create it as it was',
        dependent;
END
$embsql$;
