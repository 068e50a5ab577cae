-- coherence(model text, ids text[], labels text[], k int = 10)
--   -> (label text, items bigint, share double, chance double, lift double)
-- Whether a label of yours (a category, a brand) lives in the space: of the k labeled items nearest to an item of the
-- label, the share that has the same label, against chance (its share of the other items), and lift, the one over the
-- other. ids and labels are two lists in the same order, as array_agg makes them of a table; lists of different lengths
-- are refused, and NULL for a list is one of none. An id or label that is missing, an unknown item and one without a
-- direction are left out, and of an id given twice the first label by name counts.
-- At most 300 items, always the same, are asked for their neighbors; a label none of them has is left out.
-- example: SELECT * FROM embsql.coherence('shop', ids => ARRAY['mug-01', 'mug-02', 'mug-03', 'tea-01', 'tea-02', 'tea-03'], labels => ARRAY['mug', 'mug', 'mug', 'tea', 'tea', 'tea'], k => 2);
WITH labeled AS (
  SELECT pair.id, min(pair.label) AS label
  FROM given
  CROSS JOIN LATERAL embsql_internal.zip_lists(:ids, :labels) AS pair
  WHERE pair.label IS NOT NULL
  GROUP BY pair.id
),
known AS MATERIALIZED (
  SELECT
    this.embedding, this.norm, labeled.label,
    dense_rank() OVER (ORDER BY labeled.label ASC) AS label_number,
    row_number() OVER (ORDER BY this.item_id ASC) AS ordinal, -- equal cosines in order of id
    row_number() OVER (ORDER BY md5(this.item_id) ASC, this.item_id ASC) AS turn
  FROM given
  JOIN embsql.item_embeddings AS this ON this.run_id = (SELECT embsql.live_run(:model))
  JOIN labeled ON labeled.id = this.item_id
  WHERE this.norm > 0
),
sizes AS (
  SELECT known.label, known.label_number, count(*) AS items, sum(count(*)) OVER () AS everything
  FROM known
  GROUP BY known.label, known.label_number
),
scored AS ( -- a window over rows that still carry their vectors is ten times slower in DuckDB
  SELECT
    this.ordinal, this.label_number, other.ordinal AS other_ordinal, other.label_number AS other_label,
    embsql_internal.cosine(this.embedding, this.norm, other.embedding, other.norm) AS score
  FROM known AS this
  CROSS JOIN known AS other
  WHERE this.turn <= 300
),
near AS (
  SELECT
    s.label_number, CASE WHEN s.other_label = s.label_number THEN 1.0 ELSE 0.0 END AS same,
    row_number() OVER (PARTITION BY s.ordinal ORDER BY s.score DESC, s.other_ordinal ASC) AS rank
  FROM scored AS s
  WHERE s.other_ordinal <> s.ordinal
),
found AS (
  SELECT near.label_number, avg(near.same) AS share FROM given JOIN near ON near.rank <= :k GROUP BY near.label_number
)
SELECT
  sizes.label AS label,
  sizes.items AS items,
  CAST(found.share AS FLOAT8) AS share,
  CAST((sizes.items - 1.0) / nullif(sizes.everything - 1, 0) AS FLOAT8) AS chance,
  CAST(found.share * (sizes.everything - 1) / nullif(sizes.items - 1.0, 0) AS FLOAT8) AS lift
FROM found
JOIN sizes ON sizes.label_number = found.label_number
ORDER BY sizes.label ASC
