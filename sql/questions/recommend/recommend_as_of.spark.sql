-- What a user had done by a moment is read by a network, which Spark does not evaluate.
WITH refused AS (
  SELECT CAST(raise_error(
    'embsql: recommend_as_of is answered by a network, and Spark evaluates none: ask it in the database that the run was trained in.'
  ) AS VARCHAR) AS reason
  FROM given
)
SELECT
  refused.reason AS item_id, CAST(refused.reason AS INTEGER) AS rank, CAST(refused.reason AS FLOAT8) AS score,
  refused.reason AS source
FROM refused
