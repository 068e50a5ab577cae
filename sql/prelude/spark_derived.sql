-- What asks embsql_internal.published, a row of constants: Spark folds the subquery and the call while it plans, so that a
-- question reads the folder of one run. Made after the first promotion, which makes that view.

CREATE OR REPLACE VIEW embsql.models (model_name, live_run, earlier_runs, runs, updated_at) AS
SELECT inline(known.models) FROM embsql_internal.published AS known;

CREATE OR REPLACE FUNCTION embsql.newest_run(model STRING) RETURNS BIGINT
COMMENT 'The number of the newest published run of a model.'
RETURN coalesce(
    try_element_at((SELECT known.newest FROM embsql_internal.published AS known), model),
    embsql_internal.raise_no_run(model)
);

CREATE OR REPLACE FUNCTION embsql.live_run(model STRING) RETURNS BIGINT
COMMENT 'The number of the run that a model''s name means: the live one of shop, run 7 of shop@7.'
RETURN coalesce(
    try_element_at((SELECT known.live FROM embsql_internal.published AS known), model),
    embsql_internal.raise_no_run(model)
);

CREATE OR REPLACE FUNCTION embsql_internal.is_derived(word STRING) RETURNS BOOLEAN
RETURN array_contains((SELECT known.derived FROM embsql_internal.published AS known), word);

-- A run's maps and clusterings: the run, where it has the one that is asked for.

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
