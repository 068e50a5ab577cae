-- features(model text, entity text = 'user')
--   -> (entity_id text, embedding vector, norm double, interactions bigint, total_weight double, mean_weight double, first_time bigint, last_time bigint, mean_neighbor_degree double, mean_cosine double)
-- One row for every user (or item, entity => 'item') with what a model of churn or lifetime value can use: the vector
-- and its length; how many different items it interacted with (users, for an item) and the sum and mean of the weights; the
-- earliest and latest time of these pairs (microseconds since 1970, or the source's own order; NULL without times);
-- mean_neighbor_degree, the mean number of interactions of its items; mean_cosine, the mean cosine with them: low for
-- who has many tastes. What is NULL was not there. Any other entity returns no rows.
-- example: SELECT entity_id, interactions, total_weight, mean_weight, mean_neighbor_degree, mean_cosine FROM embsql.features('shop') LIMIT 3;
WITH pair AS (
  SELECT
    CASE WHEN :entity = 'item' THEN seen.item_id ELSE seen.user_id END AS id,
    seen.weight,
    seen.last_time,
    CASE WHEN :entity = 'item' THEN person.interactions ELSE item.interactions END AS popularity,
    embsql_internal.cosine(person.embedding, person.norm, item.embedding, item.norm) AS cosine
  FROM given
  JOIN embsql.interactions AS seen ON seen.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.user_embeddings AS person
    ON person.run_id = (SELECT embsql.live_run(:model)) AND person.user_id = seen.user_id
  JOIN embsql.item_embeddings AS item
    ON item.run_id = (SELECT embsql.live_run(:model)) AND item.item_id = seen.item_id
),
history AS (
  SELECT
    pair.id, count(*) AS interactions, sum(CAST(pair.weight AS FLOAT8)) AS total_weight,
    avg(CAST(pair.weight AS FLOAT8)) AS mean_weight, min(pair.last_time) AS first_time, max(pair.last_time) AS last_time,
    avg(CAST(pair.popularity AS FLOAT8)) AS popularity, avg(pair.cosine) AS mean_cosine
  FROM pair
  GROUP BY pair.id
),
everyone AS (
  SELECT person.user_id AS id, person.embedding, person.norm
  FROM given
  JOIN embsql.user_embeddings AS person ON person.run_id = (SELECT embsql.live_run(:model)) AND :entity = 'user'
  UNION ALL
  SELECT item.item_id AS id, item.embedding, item.norm
  FROM given
  JOIN embsql.item_embeddings AS item ON item.run_id = (SELECT embsql.live_run(:model)) AND :entity = 'item'
)
SELECT
  everyone.id AS entity_id,
  everyone.embedding AS embedding,
  CAST(everyone.norm AS FLOAT8) AS norm,
  CAST(coalesce(history.interactions, 0) AS BIGINT) AS interactions,
  history.total_weight AS total_weight,
  history.mean_weight AS mean_weight,
  history.first_time AS first_time,
  history.last_time AS last_time,
  CAST(history.popularity AS FLOAT8) AS mean_neighbor_degree,
  CAST(history.mean_cosine AS FLOAT8) AS mean_cosine
FROM everyone
LEFT JOIN history ON history.id = everyone.id
ORDER BY everyone.id ASC
