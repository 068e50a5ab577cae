-- freshness(model text)
--   -> (run_id bigint, trained_at timestamp, trained_until timestamp, newest_event timestamp, events bigint, users bigint, new_users bigint, items bigint, new_items bigint, user_share double, shift double, staleness double, refused_events bigint)
-- How far a run is behind: what the source that embsql.watch named has since the newest event that was trained.
-- events are pairs of user and item, users and items those in them, new_users and new_items those without a vector.
-- user_share is the share of the run's users with new events. shift is how far folding in has moved those users: the
-- mean of 1 - cosine between trained and folded vectors (of all in DuckDB, of a fixed sample of a hundred in
-- PostgreSQL). staleness is the share of events about new items, which no folding in brings, plus user_share times
-- shift, for users whose neighborhood the items have not followed: retrain when it grows beyond what you can bear, for
-- example 0.1. refused_events are rows that count for nothing for want of a weight, or as training would refuse it:
-- negative ones that are no ratings, and those that are not finite (in DuckDB an error of embsql.watch). In DuckDB this
-- is as of the last embsql.watch. Where the source orders events by whole numbers, these stand as microseconds since 1970. Without a watched source, or new events, figures are 0 and newest_event is NULL.
-- example: SELECT run_id, events, users, new_users, new_items, staleness FROM embsql.freshness('shop');
WITH fresh AS MATERIALIZED (
  SELECT user_now.user_id, user_now.items, user_now.events, user_now.newest_event, user_now.embedding
  FROM given
  CROSS JOIN LATERAL embsql_internal.fresh_users((SELECT embsql.live_run(:model))) AS user_now
),
moved AS (
  SELECT
    count(*) AS users,
    coalesce(sum(fresh.events), 0) AS events,
    max(fresh.newest_event) AS newest,
    count(trained.user_id) AS known,
    coalesce(avg(embsql.cosine_distance(trained.embedding, fresh.embedding)), 0) AS shift
  FROM given
  CROSS JOIN fresh
  LEFT JOIN embsql.user_embeddings AS trained
    ON trained.run_id = (SELECT embsql.live_run(:model)) AND trained.user_id = fresh.user_id
),
mentioned AS (
  SELECT pair.item_id, count(*) AS events
  FROM (SELECT unnest(fresh.items) AS item_id FROM fresh) AS pair
  GROUP BY pair.item_id
),
counted AS (
  SELECT
    count(*) AS items,
    coalesce(sum(CASE WHEN other.item_id IS NULL THEN 1 ELSE 0 END), 0) AS new_items,
    coalesce(sum(CASE WHEN other.item_id IS NULL THEN mentioned.events ELSE 0 END), 0) AS new_events
  FROM given
  CROSS JOIN mentioned
  LEFT JOIN embsql.item_embeddings AS other
    ON other.run_id = (SELECT embsql.live_run(:model)) AND other.item_id = mentioned.item_id
),
shares AS (
  SELECT
    coalesce(CAST(moved.known AS FLOAT8) / nullif(run.users, 0), 0) AS user_share,
    coalesce(CAST(counted.new_events AS FLOAT8) / nullif(moved.events, 0), 0) AS new_share
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN moved
  CROSS JOIN counted
)
SELECT
  run.run_id AS run_id,
  run.finished_at AS trained_at,
  embsql_internal.moment(run.newest_event) AS trained_until,
  embsql_internal.moment(moved.newest) AS newest_event,
  CAST(moved.events AS BIGINT) AS events,
  CAST(moved.users AS BIGINT) AS users,
  CAST(moved.users - moved.known AS BIGINT) AS new_users,
  CAST(counted.items AS BIGINT) AS items,
  CAST(counted.new_items AS BIGINT) AS new_items,
  CAST(shares.user_share AS FLOAT8) AS user_share,
  CAST(moved.shift AS FLOAT8) AS shift,
  CAST(shares.new_share + shares.user_share * moved.shift AS FLOAT8) AS staleness,
  embsql_internal.refused_events((SELECT embsql.live_run(:model))) AS refused_events
FROM given
JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
CROSS JOIN moved
CROSS JOIN counted
CROSS JOIN shares
