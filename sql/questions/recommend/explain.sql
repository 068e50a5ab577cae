-- explain(model text, for_user text, for_item text)
--   -> (item_id text, weight double, contribution double, share double)
-- Which items of the user's history carried the score of an item, the strongest first.
-- Exact for als and svd: there a user's vector is a sum over the history, so the score is one too (Hu, Koren and
-- Volinsky 2008, section 5). Contributions add up to the score of the history's fold_in vector, to which the trained
-- vector of als comes near; biases are no item's and stand outside. An item that speaks against carries a negative
-- contribution; a share is the contribution over the sum of all, so that shares add up to 1, and is NULL where that
-- sum is 0. For other algorithms the score is shared out in proportion to weight times cosine with the item (items
-- that point away carry nothing): a way to read the score, not its derivation.
-- An unknown user or item returns no rows.
-- example: SELECT * FROM embsql.explain('shop', 'c0042', 'mug-03') LIMIT 3;
WITH subject AS (
  SELECT
    target.embedding,
    target.norm,
    embsql_internal.run_score(run.similarity, this.embedding, this.norm, this.bias, target.embedding, target.norm, target.bias) AS score
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.user_embeddings AS this ON this.run_id = run.run_id AND this.user_id = :for_user
  JOIN embsql.item_embeddings AS target ON target.run_id = run.run_id AND target.item_id = :for_item
),
own AS (
  SELECT
    array_agg(seen.item_id ORDER BY seen.item_id ASC) AS items,
    array_agg(CAST(seen.weight AS FLOAT8) ORDER BY seen.item_id ASC) AS weights
  FROM given
  JOIN embsql.interactions AS seen ON seen.run_id = (SELECT embsql.live_run(:model)) AND seen.user_id = :for_user
),
past AS (
  SELECT
    history.kind, history.ids, history.weights, history.pulls,
    subject.score, subject.embedding, subject.norm,
    embsql_internal.solve(
      history.gram, history.unobserved_weight, history.ridge, history.vectors, history.curves, embsql_internal.as_double(subject.embedding)
    ) AS turned
  FROM given
  CROSS JOIN own
  CROSS JOIN subject
  CROSS JOIN LATERAL embsql_internal.fold_in_system((SELECT embsql.live_run(:model)), own.items, own.weights) AS history
),
evidence AS (
  SELECT
    unnest(past.ids) AS item_id, unnest(past.weights) AS weight, unnest(past.pulls) AS pull,
    past.kind, past.score, past.embedding, past.norm, past.turned
  FROM past
),
carried AS (
  SELECT
    evidence.item_id,
    evidence.weight,
    evidence.kind,
    evidence.score,
    CASE
      WHEN evidence.kind = 'mean' THEN
        greatest(0, evidence.weight * coalesce(embsql_internal.cosine(other.embedding, other.norm, evidence.embedding, evidence.norm), 0))
      ELSE evidence.pull * embsql.inner_product(embsql_internal.as_double(other.embedding), evidence.turned)
    END AS strength
  FROM given
  CROSS JOIN evidence
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model)) AND other.item_id = evidence.item_id
),
whole AS (
  SELECT nullif(sum(carried.strength), 0) AS strength, nullif(sum(abs(carried.strength)), 0) AS size FROM carried
)
SELECT
  carried.item_id AS item_id,
  CAST(carried.weight AS FLOAT8) AS weight,
  CAST(CASE WHEN carried.kind = 'mean' THEN carried.score * carried.strength / whole.strength ELSE carried.strength END AS FLOAT8) AS contribution,
  CAST(carried.strength / whole.strength AS FLOAT8) AS share
FROM carried
CROSS JOIN whole
ORDER BY CAST(carried.strength / whole.size AS DECIMAL(9, 6)) DESC NULLS LAST, carried.item_id ASC -- so that rounding orders no twins
