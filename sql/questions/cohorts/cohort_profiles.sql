-- cohort_profiles(model text, cohort_set text)
--   -> (cohort text, users bigint, centroid vector, spread double, coverage double)
-- Every cohort of a set in the model's space. The set is yours: rows of embsql.cohorts (cohort_set, user_id, cohort).
-- users are those the run has a direction of (a vector that is not zero), coverage their share of the cohort; centroid
-- is the mean of their vectors brought to length 1, spread their mean cosine distance to it: 0 when they are all alike.
-- An unknown set returns no rows.
-- example: SELECT cohort, users, spread, coverage FROM embsql.cohort_profiles('shop', 'first_order') LIMIT 3;
WITH profile AS (
  SELECT
    member.cohort,
    count(*) AS members,
    count(member.direction) AS users,
    embsql.vector_avg(member.direction) AS centroid
  FROM given
  CROSS JOIN LATERAL embsql_internal.cohort_members((SELECT embsql.live_run(:model)), :cohort_set) AS member
  GROUP BY member.cohort
)
SELECT
  profile.cohort AS cohort,
  profile.users AS users,
  profile.centroid AS centroid,
  -- The mean cosine of vectors of length 1 with their mean is the length of that mean.
  CAST(1 - embsql.vector_norm(profile.centroid) AS FLOAT8) AS spread,
  CAST(profile.users AS FLOAT8) / profile.members AS coverage
FROM profile
ORDER BY profile.cohort COLLATE "C" ASC
