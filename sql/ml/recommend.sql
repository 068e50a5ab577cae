-- recommend(model text, users text[] = NULL, items text[] = NULL)
--   -> (user_id text, item_id text, predicted_rating double, predicted_rating_confidence double)
-- Every pair of a user and an item of the live run with its score, as ML.RECOMMEND: pairs seen in training too.
-- users and items, where given, are whose pairs. The score is a predicted_rating where the model was trained on
-- explicit feedback, and a predicted_rating_confidence otherwise; the other column is NULL. In no particular order.
-- example: SELECT * FROM ml.recommend('shop', users => ARRAY['c0042'], items => ARRAY['mug-03']);
WITH live AS (
  SELECT run.run_id, run.similarity, run.params LIKE '%"feedback": "explicit"%' AS explicit
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
),
pair AS (
  SELECT
    this.user_id,
    other.item_id,
    live.explicit,
    CAST(embsql_internal.run_score(live.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS FLOAT8) AS score
  FROM given
  CROSS JOIN live
  JOIN embsql.user_embeddings AS this ON this.run_id = live.run_id
  JOIN embsql.item_embeddings AS other ON other.run_id = live.run_id
  WHERE (:users IS NULL OR embsql_internal.contains(:users, this.user_id))
    AND (:items IS NULL OR embsql_internal.contains(:items, other.item_id))
)
SELECT
  pair.user_id AS user_id,
  pair.item_id AS item_id,
  CASE WHEN pair.explicit THEN pair.score END AS predicted_rating,
  CASE WHEN NOT pair.explicit THEN pair.score END AS predicted_rating_confidence
FROM pair
