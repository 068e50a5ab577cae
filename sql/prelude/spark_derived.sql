-- A run's maps and clusterings: the run, where it has the one that is asked for. Made after the first promotion, which
-- makes what they call.

CREATE OR REPLACE FUNCTION embsql_internal.mapped_run(model STRING, entity STRING, method STRING) RETURNS BIGINT
RETURN CASE
    WHEN embsql_internal.is_derived(concat_ws(' ', 'map', embsql.live_run(model), entity, method)) THEN embsql.live_run(model)
    ELSE embsql_internal.refuse_derived(model, entity, method, 'map', 'project', 'method')
END;

CREATE OR REPLACE FUNCTION embsql_internal.clustered_run(model STRING, entity STRING, clustering STRING) RETURNS BIGINT
RETURN CASE
    WHEN embsql_internal.is_derived(concat_ws(' ', 'clustering', embsql.live_run(model), entity, clustering))
    THEN embsql.live_run(model)
    ELSE embsql_internal.refuse_derived(model, entity, clustering, 'clustering', 'cluster', 'clustering')
END;
