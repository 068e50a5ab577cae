-- validation(model text)
--   -> ("check" text, severity text, rows bigint, example text, hint text)
-- What the newest run found in its source: errors stopped it, warnings did not. rows counts rows, users or items.
-- example: SELECT "check", severity, rows FROM embsql.validation('shop') WHERE severity <> 'ok';
SELECT
  finding.check_name AS "check",
  finding.severity AS severity,
  finding.affected AS rows,
  finding.example AS example,
  finding.hint AS hint
FROM given
JOIN embsql.source_checks AS finding ON finding.run_id = (SELECT embsql.newest_run(:model))
ORDER BY
  CASE finding.severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 WHEN 'info' THEN 2 ELSE 3 END ASC,
  finding.check_name ASC
