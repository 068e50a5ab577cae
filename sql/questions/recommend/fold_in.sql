-- fold_in(model text, items text[], weights double[] = NULL)
--   -> vector
-- The user vector of a history: what training would give a user with these items, found without training.
-- A run of als solves the user's own system of equations exactly (training comes near it step by step), one of svd
-- projects as its training does, any other takes the mean of the items' vectors by weight.
-- weights are as in training: one per item, 1 each when left out; ratings for a run of ratings, where they
-- default to the highest there is. Unknown items are left out, an item given twice counts with both weights (a
-- rating with the mean of the two). A weight that is NULL, or 0 where nothing is rated, leaves its item out; one that is
-- NaN, infinite or above 3e38, a negative one that is no rating, and fewer or more weights than items are errors. NULL
-- when no item is known.
-- example: SELECT embsql.fold_in('shop', ARRAY['mug-03', 'tea-01']) AS embedding;
WITH past AS MATERIALIZED (
  SELECT
    history.gram, history.unobserved_weight, history.ridge, history.vectors, history.curves,
    embsql_internal.weighted_sum(history.vectors, history.pulls) AS pulled
  FROM given
  CROSS JOIN LATERAL embsql_internal.fold_in_system((SELECT embsql.live_run(:model)), :items, :weights) AS history
)
SELECT
  embsql_internal.as_vector(embsql_internal.solve(past.gram, past.unobserved_weight, past.ridge, past.vectors, past.curves, past.pulled)) AS embedding
FROM past
