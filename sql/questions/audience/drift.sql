-- drift(model_a text, model_b text)
--   -> (entity text, entity_id text, shift double, neighbor_overlap double)
-- How far every item and user moved from one run to another ('shop@7', 'shop'), those that moved most first.
-- The spaces of two runs are never compared as they are: all of one may lie turned. The first is turned onto the
-- second by the rotation that fits best the items and users both have (orthogonal Procrustes; Schoenemann, 1966;
-- fitted on at most 5,000 of each kind, a fixed choice). shift is the cosine distance that remains: 0 did not move.
-- neighbor_overlap needs no alignment: the share of the 10 nearest by cosine that are the same in both runs. Of each
-- kind the neighbors are sought among 1,000 (all, where there are no more; otherwise a fixed choice), and it is NULL
-- beyond 5,000. Runs of different dim can be compared: what does not fit the shorter counts as moved. Rows are what
-- both runs have a direction of; when they share nothing there are none.
-- example: SELECT * FROM embsql.drift('shop@1', 'shop') WHERE entity = 'item' LIMIT 3;
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
near AS ( -- cosines to five decimals, so that what is equally near is in the same order in both runs,
  -- in one double with the neighbor's ordinal: DuckDB then keeps the nearest, and sorts no others
  SELECT
    asked.entity,
    asked.ordinal,
    sample.ordinal AS neighbor,
    1024 * CAST(round(100000 * embsql.inner_product(sample.direction_a, asked.direction_a)) AS FLOAT8) - sample.ordinal AS near_a,
    1024 * CAST(round(100000 * embsql.inner_product(sample.direction_b, asked.direction_b)) AS FLOAT8) - sample.ordinal AS near_b
  FROM asked
  JOIN sample ON sample.entity = asked.entity AND sample.ordinal <> asked.ordinal
),
ranked_a AS (
  SELECT
    near.entity,
    near.ordinal,
    near.neighbor,
    row_number() OVER (PARTITION BY near.entity, near.ordinal ORDER BY near.near_a DESC) AS rank_a
  FROM near
),
ranked_b AS (
  SELECT
    near.entity,
    near.ordinal,
    near.neighbor,
    row_number() OVER (PARTITION BY near.entity, near.ordinal ORDER BY near.near_b DESC) AS rank_b
  FROM near
),
nearest_a AS (
  SELECT ranked_a.entity, ranked_a.ordinal, ranked_a.neighbor FROM ranked_a WHERE ranked_a.rank_a <= 10
),
nearest_b AS (
  SELECT ranked_b.entity, ranked_b.ordinal, ranked_b.neighbor FROM ranked_b WHERE ranked_b.rank_b <= 10
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
