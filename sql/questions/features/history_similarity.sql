-- history_similarity(model text, for_user text, for_item text)
--   -> (mean double, max double, p90 double, share_above double, decayed double)
-- How near an item is to a user's history: the cosines of the item with the items of the user's history, the item
-- itself left out. share_above is the share of them above 0.5. decayed is their mean weighted by exp(-age), where age
-- counts the distinct times (last_time) that are later: 0 for what came last; NULL when any time is missing.
-- An unknown user or item, or a history without another item that has a direction, returns no rows.
-- example: SELECT * FROM embsql.history_similarity('shop', 'c0042', 'mug-03');
WITH past AS (
  SELECT
    embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm) AS cosine,
    seen.last_time,
    dense_rank() OVER (ORDER BY seen.last_time DESC) - 1 AS age
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.item_embeddings AS subject
    ON subject.run_id = run.run_id AND subject.item_id = :for_item AND subject.norm > 0
  JOIN embsql.interactions AS seen
    ON seen.run_id = run.run_id AND seen.user_id = :for_user AND seen.item_id <> :for_item
  JOIN embsql.item_embeddings AS other
    ON other.run_id = run.run_id AND other.item_id = seen.item_id AND other.norm > 0
)
SELECT
  CAST(avg(past.cosine) AS FLOAT8) AS mean,
  CAST(max(past.cosine) AS FLOAT8) AS max,
  CAST(percentile_cont(0.9) WITHIN GROUP (ORDER BY past.cosine ASC) AS FLOAT8) AS p90,
  CAST(avg(CASE WHEN past.cosine > 0.5 THEN 1.0 ELSE 0.0 END) AS FLOAT8) AS share_above,
  CAST(CASE
    WHEN count(past.last_time) = count(*)
    THEN sum(past.cosine * exp(-least(past.age, 700))) / sum(exp(-least(past.age, 700)))
  END AS FLOAT8) AS decayed
FROM past
HAVING count(*) > 0
