-- What runs take is the registry's to say.
WITH refused AS (
  SELECT CAST(raise_error(
    'embsql: storage looks at the database that runs are trained in: ask it there, SELECT * FROM embsql.storage();'
  ) AS VARCHAR) AS reason
  FROM given
)
SELECT
  refused.reason AS model_name,
  CAST(refused.reason AS BIGINT) AS run_id,
  refused.reason AS part,
  CAST(refused.reason AS BIGINT) AS rows,
  CAST(refused.reason AS BIGINT) AS bytes
FROM refused
