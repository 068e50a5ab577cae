-- explain(model text, for_user text, for_item text)
--   -> (item_id text, weight double, contribution double, share double)
-- Which items of the user's history carried the score of an item, the strongest first.
-- The score is shared out in proportion to weight times cosine with the item (items that point away carry
-- nothing): contributions add up to the score, shares to 1. A way to read the score, not its derivation.
-- example: SELECT * FROM embsql.explain('shop', 'c0042', 'mug-03') LIMIT 3;
WITH subject AS (
  SELECT
    target.embedding,
    target.norm,
    embsql.run_score(run.similarity, this.embedding, this.norm, this.bias, target.embedding, target.norm, target.bias) AS score
  FROM embsql.runs AS run
  JOIN embsql.user_embeddings AS this ON this.run_id = run.run_id AND this.user_id = :for_user
  JOIN embsql.item_embeddings AS target ON target.run_id = run.run_id AND target.item_id = :for_item
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
pull AS (
  SELECT
    past.item_id,
    past.weight,
    subject.score,
    greatest(0, past.weight * coalesce(embsql.cosine(other.embedding, other.norm, subject.embedding, subject.norm), 0)) AS strength
  FROM subject
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.user_id = :for_user
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model)) AND other.item_id = past.item_id
),
whole AS (
  SELECT nullif(sum(pull.strength), 0) AS strength FROM pull
)
SELECT
  pull.item_id AS item_id,
  CAST(pull.weight AS FLOAT8) AS weight,
  CAST(pull.score * pull.strength / whole.strength AS FLOAT8) AS contribution,
  CAST(pull.strength / whole.strength AS FLOAT8) AS share
FROM pull
CROSS JOIN whole
ORDER BY pull.strength DESC, pull.item_id
