-- embedding_health(model text)
--   -> (entity text, "check" text, value double, threshold double, ok boolean)
-- Whether a run's vectors are fit for use, as figures with the threshold from which they are worth a look.
-- zero_vectors, not_finite: share of vectors without a direction (nobody's neighbors; at most 0.01) or without
-- numbers (0). participation_ratio: over how many directions the vectors are spread, (sum of the covariance's
-- eigenvalues)^2 / sum of their squares, at least a tenth of the dimensions. norm_popularity: correlation of a
-- vector's length with ln(1 + interactions), at most 0.98 either way: beyond it, length is popularity over again.
-- hubness: the largest share of the others' ten nearest that one vector is among, at most ten times what chance
-- would give. coverage_at_10: how many different items are in the ten best of users, of those that could be, at least
-- 0.1; gini_at_10: how unequally these items are shown (0 equally, 1 one of them always), at most 0.8.
-- Fixed samples keep it affordable: 1,000 vectors for the participation ratio and hubness, 100 users for the lists.
-- value and ok are NULL where there is nothing to measure.
-- example: SELECT * FROM embsql.embedding_health('shop') WHERE entity = 'item';
WITH vectors AS MATERIALIZED (
  SELECT
    'item' AS entity, item.item_id AS id, item.embedding, embsql.vector_norm(item.embedding) AS norm, item.bias,
    item.interactions, row_number() OVER (ORDER BY md5(item.item_id) ASC, item.item_id ASC) AS ordinal
  FROM given
  JOIN embsql.item_embeddings AS item ON item.run_id = (SELECT embsql.live_run(:model))
  UNION ALL
  SELECT
    'user' AS entity, person.user_id AS id, person.embedding, embsql.vector_norm(person.embedding) AS norm, person.bias,
    person.interactions, row_number() OVER (ORDER BY md5(person.user_id) ASC, person.user_id ASC) AS ordinal
  FROM given
  JOIN embsql.user_embeddings AS person ON person.run_id = (SELECT embsql.live_run(:model))
),
spread AS (
  SELECT
    v.entity,
    CASE WHEN min(v.norm) < max(v.norm) AND min(v.interactions) < max(v.interactions)
      THEN corr(v.norm, ln(1 + CAST(v.interactions AS FLOAT8))) END AS norm_popularity,
    avg(CASE WHEN v.norm = 0 THEN 1.0 ELSE 0.0 END) AS zero_vectors,
    avg(CASE WHEN v.norm < CAST('Infinity' AS FLOAT8) THEN 0.0 ELSE 1.0 END) AS not_finite
  FROM vectors AS v
  GROUP BY v.entity
),
sample AS MATERIALIZED (
  SELECT
    v.entity, v.embedding, v.norm,
    row_number() OVER (PARTITION BY v.entity ORDER BY v.id ASC) AS ordinal -- equal cosines in order of id
  FROM vectors AS v
  WHERE v.ordinal <= 1000
),
pairs AS MATERIALIZED (
  SELECT
    a.entity, a.ordinal AS ordinal_a, b.ordinal AS ordinal_b, nullif(a.norm * b.norm, 0) AS lengths,
    CAST(embsql.inner_product(a.embedding, b.embedding) AS FLOAT8) AS product
  FROM sample AS a
  JOIN sample AS b ON b.entity = a.entity
),
products AS ( -- the sample's Gramian has the covariance's eigenvalues; it is centered by its row means
  SELECT
    p.entity,
    avg(p.product) AS middle,
    sum(p.product * p.product) AS squares,
    sum(CASE WHEN p.ordinal_a = p.ordinal_b THEN p.product ELSE 0 END) AS own
  FROM pairs AS p
  GROUP BY p.entity, p.ordinal_a
),
traces AS (
  SELECT
    p.entity,
    sum(p.squares) AS squares,
    sum(p.own) - sum(p.middle) AS trace,
    sum(p.squares) - 2 * count(*) * sum(p.middle * p.middle) + sum(p.middle) * sum(p.middle) AS trace_of_square
  FROM products AS p
  GROUP BY p.entity
),
directions AS (
  SELECT t.entity, CASE WHEN t.trace_of_square > 1e-9 * t.squares THEN t.trace * t.trace / t.trace_of_square END AS ratio
  FROM traces AS t
),
near AS (
  SELECT
    p.entity, p.ordinal_b,
    row_number() OVER (PARTITION BY p.entity, p.ordinal_a ORDER BY p.product / p.lengths DESC, p.ordinal_b ASC) AS rank
  FROM pairs AS p
  WHERE p.ordinal_a <> p.ordinal_b AND p.lengths > 0
),
hubs AS (
  SELECT n.entity, n.ordinal_b, count(*) AS lists
  FROM near AS n
  WHERE n.rank <= 10
  GROUP BY n.entity, n.ordinal_b
),
sampled AS (
  SELECT s.entity, count(*) - 1.0 AS others FROM sample AS s WHERE s.norm > 0 GROUP BY s.entity
),
hubness AS (
  SELECT h.entity, max(h.lists) / nullif(max(s.others), 0) AS share, least(1, 100 / nullif(max(s.others), 0)) AS bound
  FROM hubs AS h
  JOIN sampled AS s ON s.entity = h.entity
  GROUP BY h.entity
),
asked AS (
  SELECT v.id AS user_id, v.ordinal, v.embedding, v.norm, v.bias FROM vectors AS v WHERE v.entity = 'user' AND v.ordinal <= 100
),
catalog AS MATERIALIZED (
  SELECT v.id AS item_id, v.embedding, v.norm, v.bias, row_number() OVER (ORDER BY v.id ASC) AS ordinal
  FROM vectors AS v
  WHERE v.entity = 'item'
),
seen AS MATERIALIZED (
  SELECT asked.ordinal AS user_ordinal, catalog.ordinal AS item_ordinal
  FROM given
  CROSS JOIN asked
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.user_id = asked.user_id
  JOIN catalog ON catalog.item_id = past.item_id
),
scores AS ( -- before what was seen is left out, so that no vector goes through that join
  SELECT
    this.ordinal AS user_ordinal, other.ordinal AS item_ordinal,
    embsql_internal.run_score(run.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS score
  FROM given
  CROSS JOIN asked AS this
  CROSS JOIN catalog AS other
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  WHERE run.similarity = 'dot' OR (this.norm > 0 AND other.norm > 0)
),
scored AS (
  SELECT s.user_ordinal, s.item_ordinal, s.score
  FROM scores AS s
  LEFT JOIN seen ON seen.user_ordinal = s.user_ordinal AND seen.item_ordinal = s.item_ordinal
  WHERE seen.user_ordinal IS NULL
),
ranked AS (
  SELECT s.item_ordinal, row_number() OVER (PARTITION BY s.user_ordinal ORDER BY s.score DESC, s.item_ordinal ASC) AS rank
  FROM scored AS s
),
shown AS (
  SELECT count(*) AS lists, row_number() OVER (ORDER BY count(*) ASC, r.item_ordinal ASC) AS ordinal
  FROM ranked AS r
  WHERE r.rank <= 10
  GROUP BY r.item_ordinal
),
exposure AS (
  SELECT
    CAST(count(*) AS FLOAT8) AS items,
    2.0 * sum(s.ordinal * s.lists) / nullif(count(*) * sum(s.lists), 0) - (count(*) + 1.0) / nullif(count(*), 0) AS gini
  FROM shown AS s
),
possible AS (
  SELECT least(10.0 * people.total, things.total) AS items
  FROM (SELECT count(*) AS total FROM asked) AS people
  CROSS JOIN (SELECT count(*) AS total FROM catalog) AS things
),
checks AS (
  SELECT s.entity, 1 AS ordinal, 'zero_vectors' AS check_name, s.zero_vectors AS value, 0.01 AS threshold, s.zero_vectors <= 0.01 AS ok
  FROM spread AS s
  UNION ALL
  SELECT s.entity, 2, 'not_finite', s.not_finite, 0, s.not_finite = 0 FROM spread AS s
  UNION ALL
  SELECT d.entity, 3, 'participation_ratio', d.ratio, 0.1 * run.dim, d.ratio >= 0.1 * run.dim
  FROM given
  CROSS JOIN directions AS d
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  UNION ALL
  SELECT s.entity, 4, 'norm_popularity', s.norm_popularity, 0.98, s.norm_popularity BETWEEN -0.98 AND 0.98 FROM spread AS s
  UNION ALL
  SELECT h.entity, 5, 'hubness', h.share, h.bound, h.share <= h.bound FROM hubness AS h
  UNION ALL
  SELECT 'item', 6, 'coverage_at_10', l.items / nullif(p.items, 0), 0.1, l.items >= 0.1 * p.items
  FROM exposure AS l
  CROSS JOIN possible AS p
  UNION ALL
  SELECT 'item', 7, 'gini_at_10', l.gini, 0.8, l.gini <= 0.8 FROM exposure AS l
)
SELECT
  c.entity AS entity,
  c.check_name AS "check",
  CAST(c.value AS FLOAT8) AS value,
  CAST(c.threshold AS FLOAT8) AS threshold,
  c.ok AS ok
FROM checks AS c
ORDER BY c.entity ASC, c.ordinal ASC
