-- cohort_items(model text, cohort_set text, k int = 10)
--   -> (cohort text, item_id text, rank int, score double, lift double)
-- What sets each cohort apart: the at most k items that its users interacted with more often than others, the surest first.
-- lift is the share of the cohort's users with the item over the share of all users with it. score is the
-- log-likelihood ratio of that difference (Dunning, 1993), which three users out of three do not lift above three
-- hundred out of four hundred; above 10.8 chance does it once in a thousand items. It is about what the run was
-- trained on, not its vectors. Items with a lift of 1 or less are left out; an unknown set returns no rows.
-- example: SELECT * FROM embsql.cohort_items('shop', 'first_order', k => 1) LIMIT 3;
WITH pair AS (
  SELECT past.user_id, past.item_id
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model))
),
everyone AS (
  SELECT count(DISTINCT pair.user_id) AS users FROM pair
),
popular AS (
  SELECT pair.item_id, count(*) AS users FROM pair GROUP BY pair.item_id
),
member AS (
  SELECT listed.cohort, listed.user_id
  FROM given
  CROSS JOIN LATERAL embsql_internal.cohort_members((SELECT embsql.live_run(:model)), :cohort_set) AS listed
),
size AS (
  SELECT member.cohort, count(DISTINCT pair.user_id) AS users
  FROM member
  JOIN pair ON pair.user_id = member.user_id
  GROUP BY member.cohort
),
liked AS (
  SELECT member.cohort, pair.item_id, count(*) AS users
  FROM member
  JOIN pair ON pair.user_id = member.user_id
  GROUP BY member.cohort, pair.item_id
),
counted AS ( -- the four fields of the table (in the cohort or not, with the item or not) follow from these
  SELECT
    liked.cohort,
    liked.item_id,
    CAST(liked.users AS FLOAT8) AS met_inside,
    CAST(size.users AS FLOAT8) AS inside,
    CAST(popular.users AS FLOAT8) AS met_anywhere,
    CAST(everyone.users AS FLOAT8) AS anywhere
  FROM liked
  JOIN size ON size.cohort = liked.cohort
  JOIN popular ON popular.item_id = liked.item_id
  CROSS JOIN everyone
),
scored AS (
  SELECT
    pair.cohort,
    pair.item_id,
    pair.met_inside * pair.anywhere / (pair.inside * pair.met_anywhere) AS lift,
    2 * (
      embsql_internal.x_ln_x(pair.met_inside)
      + embsql_internal.x_ln_x(pair.inside - pair.met_inside)
      + embsql_internal.x_ln_x(pair.met_anywhere - pair.met_inside)
      + embsql_internal.x_ln_x(pair.anywhere - pair.inside - pair.met_anywhere + pair.met_inside)
      + embsql_internal.x_ln_x(pair.anywhere)
      - embsql_internal.x_ln_x(pair.inside)
      - embsql_internal.x_ln_x(pair.anywhere - pair.inside)
      - embsql_internal.x_ln_x(pair.met_anywhere)
      - embsql_internal.x_ln_x(pair.anywhere - pair.met_anywhere)
    ) AS score
  FROM counted AS pair
  WHERE pair.met_inside * pair.anywhere > pair.inside * pair.met_anywhere
),
ranked AS (
  SELECT
    scored.cohort,
    scored.item_id,
    row_number() OVER (PARTITION BY scored.cohort ORDER BY scored.score DESC, scored.item_id ASC) AS ordinal,
    scored.score,
    scored.lift
  FROM scored
)
SELECT
  ranked.cohort AS cohort,
  ranked.item_id AS item_id,
  CAST(ranked.ordinal AS INTEGER) AS rank,
  CAST(ranked.score AS FLOAT8) AS score,
  CAST(ranked.lift AS FLOAT8) AS lift
FROM given
JOIN ranked ON ranked.ordinal <= :k
ORDER BY ranked.cohort COLLATE "C" ASC, ranked.ordinal ASC
