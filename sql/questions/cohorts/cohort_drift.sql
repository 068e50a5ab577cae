-- cohort_drift(model_a text, model_b text, cohort_set text)
--   -> (cohort text, users bigint, drift double, neighbor_overlap double, enough_data boolean)
-- How far the users of every cohort moved from one run to another ('shop@7', 'shop'), and who is around them.
-- users are those both runs have a direction of; drift is the mean of their shifts and neighbor_overlap the mean of
-- their overlaps, as embsql.drift has them (NULL where none of them is in its sample). A number for one cohort means
-- something next to those of the others: retraining alone moves everybody. Below 20 users enough_data is false: read
-- nothing into it. Cohorts nobody of whom is in both runs are left out; an unknown set returns no rows.
-- example: SELECT * FROM embsql.cohort_drift('shop@1', 'shop', 'first_order') LIMIT 3;
SELECT
  member.cohort AS cohort,
  count(*) AS users,
  CAST(avg(moved.shift) AS FLOAT8) AS drift,
  CAST(avg(moved.neighbor_overlap) AS FLOAT8) AS neighbor_overlap,
  count(*) >= 20 AS enough_data
FROM given
CROSS JOIN LATERAL embsql_internal.cohort_members((SELECT embsql.live_run(:model_b)), :cohort_set) AS member
CROSS JOIN LATERAL embsql.drift(:model_a, :model_b) AS moved
WHERE moved.entity = 'user'
  AND moved.entity_id = member.user_id
  AND (SELECT embsql.live_run(:model_a)) IS NOT NULL -- so that an unknown model raises where a set has no members
GROUP BY member.cohort
ORDER BY member.cohort COLLATE "C" ASC
