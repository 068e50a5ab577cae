-- As drift.sql, whose windows would sort every pair: of a subquery for each row PostgreSQL keeps the nearest, and sorts
-- no others.
WITH pair AS (
  SELECT
    shared.entity,
    shared.entity_id,
    shared.ordinal,
    shared.direction_a,
    shared.direction_b,
    embsql_internal.matvec(shared.direction_a, rotation.matrix) AS turned
  FROM given
  CROSS JOIN LATERAL embsql_internal.alignment((SELECT embsql.live_run(:model_a)), (SELECT embsql.live_run(:model_b))) AS rotation (matrix)
  CROSS JOIN LATERAL embsql_internal.shared_vectors((SELECT embsql.live_run(:model_a)), (SELECT embsql.live_run(:model_b))) AS shared
),
sample AS (
  SELECT pair.entity, pair.ordinal, pair.direction_a, pair.direction_b FROM pair WHERE pair.ordinal <= 1000
),
asked AS (
  SELECT pair.entity, pair.ordinal, pair.direction_a, pair.direction_b FROM pair WHERE pair.ordinal <= 5000
),
nearest_a AS ( -- cosines to five decimals, so that what is equally near is in the same order in both runs
  SELECT asked.entity, asked.ordinal, near.ordinal AS neighbor
  FROM asked
  CROSS JOIN LATERAL (
    SELECT sample.ordinal
    FROM sample
    WHERE sample.entity = asked.entity AND sample.ordinal <> asked.ordinal
    ORDER BY round(100000 * embsql.inner_product(sample.direction_a, asked.direction_a)) DESC, sample.ordinal ASC
    LIMIT 10
  ) AS near
),
nearest_b AS (
  SELECT asked.entity, asked.ordinal, near.ordinal AS neighbor
  FROM asked
  CROSS JOIN LATERAL (
    SELECT sample.ordinal
    FROM sample
    WHERE sample.entity = asked.entity AND sample.ordinal <> asked.ordinal
    ORDER BY round(100000 * embsql.inner_product(sample.direction_b, asked.direction_b)) DESC, sample.ordinal ASC
    LIMIT 10
  ) AS near
),
overlap AS (
  SELECT
    nearest_a.entity,
    nearest_a.ordinal,
    CAST(count(nearest_b.neighbor) AS FLOAT8) / count(*) AS share
  FROM nearest_a
  LEFT JOIN nearest_b
    ON nearest_b.entity = nearest_a.entity AND nearest_b.ordinal = nearest_a.ordinal AND nearest_b.neighbor = nearest_a.neighbor
  GROUP BY nearest_a.entity, nearest_a.ordinal
)
SELECT
  pair.entity AS entity,
  pair.entity_id AS entity_id,
  CAST(greatest(0, coalesce(embsql.cosine_distance(pair.turned, pair.direction_b), 1)) AS FLOAT8) AS shift,
  overlap.share AS neighbor_overlap
FROM pair
LEFT JOIN overlap ON overlap.entity = pair.entity AND overlap.ordinal = pair.ordinal
ORDER BY shift DESC NULLS LAST, pair.entity COLLATE "C" ASC, pair.entity_id COLLATE "C" ASC
