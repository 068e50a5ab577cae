-- What BigQuery ML's functions become in a statement. {query} is the caller's own; {model} a name that was checked, the
-- columns quoted.

-- table: the rows of a table
SELECT * FROM {table}

-- recommend: every pair
(SELECT pair.user_id AS {user_col}, pair.item_id AS {item_col}, pair.{predicted} AS {predicted_col}
FROM ml.recommend('{model}') AS pair)

-- recommend_given_user_col: every item for the users of a query
(SELECT pair.user_id AS {user_col}, pair.item_id AS {item_col}, pair.{predicted} AS {predicted_col}
FROM ml.recommend('{model}', users => coalesce((
SELECT array_agg(DISTINCT embsql.id_text(given.{given_col})) FROM (
{query}
) AS given), CAST(ARRAY[] AS VARCHAR[]))) AS pair)

-- recommend_given_item_col: every user for the items of a query
(SELECT pair.user_id AS {user_col}, pair.item_id AS {item_col}, pair.{predicted} AS {predicted_col}
FROM ml.recommend('{model}', items => coalesce((
SELECT array_agg(DISTINCT embsql.id_text(given.{given_col})) FROM (
{query}
) AS given), CAST(ARRAY[] AS VARCHAR[]))) AS pair)

-- recommend_pairs: the pairs of a query, with all its columns; NULL for who is not known
(SELECT
    given.*,
    embsql.score('{model}', embsql.id_text(given.{given_user_col}), embsql.id_text(given.{given_item_col})) AS {predicted_col}
FROM (
{query}
) AS given)

-- evaluate_pairs: how far predicted ratings are from those of a query; pairs of who is not known are left out
(SELECT
    avg(abs(pair.rating - pair.predicted)) AS mean_absolute_error,
    avg(power(pair.rating - pair.predicted, 2)) AS mean_squared_error,
    avg(CASE WHEN least(pair.rating, pair.predicted) > -1 THEN power(ln(1 + pair.rating) - ln(1 + pair.predicted), 2) END)
        AS mean_squared_log_error,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(pair.rating - pair.predicted) ASC) AS median_absolute_error,
    1 - avg(power(pair.rating - pair.predicted, 2)) / nullif(var_pop(pair.rating), 0) AS r2_score,
    1 - var_pop(pair.rating - pair.predicted) / nullif(var_pop(pair.rating), 0) AS explained_variance
FROM (
    SELECT
        CAST(given.{given_weight_col} AS FLOAT8) AS rating,
        embsql.score('{model}', embsql.id_text(given.{given_user_col}), embsql.id_text(given.{given_item_col})) AS predicted
    FROM (
{query}
    ) AS given
) AS pair
WHERE pair.predicted IS NOT NULL AND pair.rating IS NOT NULL)

-- predict_given: the groups of what a query gives, with all its columns; NULL for who is in none
(WITH asked AS (
{query}
)
SELECT near.centroid_id, near.nearest_centroid_ids, near.nearest_centroid_distances, asked.*
FROM asked
LEFT JOIN ml.predict('{model}', ids => coalesce((
SELECT array_agg(DISTINCT embsql.id_text(asked.{given_col})) FROM asked
), CAST(ARRAY[] AS VARCHAR[])), entity => '{entity}') AS near ON near.entity_id = embsql.id_text(asked.{given_col}))
