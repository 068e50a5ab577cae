-- The doctor looks at leases, failed runs and rights, which are the registry's.
WITH refused AS (
  SELECT CAST(raise_error(
    'embsql: doctor looks at the database that runs are trained in: ask it there, SELECT * FROM embsql.doctor();'
  ) AS VARCHAR) AS reason
  FROM given
)
SELECT refused.reason AS severity, refused.reason AS subject, refused.reason AS finding, refused.reason AS remedy
FROM refused
