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
nearest AS (
  SELECT other.item_id, embsql.cosine(other.embedding, other.norm, subject.embedding, subject.norm) AS score
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  WHERE other.item_id <> subject.item_id AND other.norm > 0
  ORDER BY score DESC, other.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.item_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
ORDER BY rank ASC
