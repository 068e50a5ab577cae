-- similar_items(model text, for_item text, k int = 10)
--   -> (item_id text, rank int, score double)
-- Items nearest to one item in the model's space, best first; the item itself is left out.
-- score is the cosine of the two vectors: 1 is the same direction. An unknown item returns no rows.
-- example: SELECT * FROM embsql.similar_items('shop', 'mug-03', k => 3);
WITH subject AS (
  SELECT this.item_id, this.embedding, this.norm
  FROM given
  JOIN embsql.item_embeddings AS this ON this.run_id = (SELECT embsql.live_run(:model)) AND this.item_id = :for_item
  WHERE this.norm > 0
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
),
nearest AS (
  SELECT
    other.item_id,
    -- the item itself has no score: left out here, it would cost a look at every pair in a join
    CASE
      WHEN other.item_id <> subject.item_id
      THEN embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm)
    END AS score
  FROM catalog AS other
  CROSS JOIN subject
  ORDER BY score DESC NULLS LAST, other.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.item_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
WHERE nearest.score IS NOT NULL
ORDER BY rank ASC
