-- What a user had done by a moment is for networks to read, which Spark does not evaluate.
WITH refused AS (
  SELECT CAST(raise_error(
    'embsql: recommend_as_of is not answered in Spark, which evaluates no networks: ask it in the database that the run was trained in.'
  ) AS VARCHAR) AS reason
  FROM given
)
SELECT
  refused.reason AS item_id, CAST(refused.reason AS INTEGER) AS rank, CAST(refused.reason AS FLOAT8) AS score,
  refused.reason AS source
FROM refused
