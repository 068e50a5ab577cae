-- cohort_similarity(model text, cohort_set text)
--   -> (cohort_a text, cohort_b text, score double)
-- Which cohorts of a set are alike: the cosine of their centroids, every pair once, the most alike first.
-- Cohorts without a vector in the run are left out; an unknown set returns no rows.
-- example: SELECT * FROM embsql.cohort_similarity('shop', 'first_order') LIMIT 3;
WITH profile AS (
  SELECT member.cohort, embsql.vector_avg(member.direction) AS centroid
  FROM given
  CROSS JOIN LATERAL embsql_internal.cohort_members((SELECT embsql.live_run(:model)), :cohort_set) AS member
  GROUP BY member.cohort
)
SELECT
  a.cohort AS cohort_a,
  b.cohort AS cohort_b,
  CAST(embsql.cosine_similarity(a.centroid, b.centroid) AS FLOAT8) AS score
FROM profile AS a
JOIN profile AS b ON b.cohort COLLATE "C" > a.cohort COLLATE "C"
WHERE embsql.vector_norm(a.centroid) > 0 AND embsql.vector_norm(b.centroid) > 0
ORDER BY score DESC, a.cohort COLLATE "C" ASC, b.cohort COLLATE "C" ASC
