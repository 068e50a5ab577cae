-- What embsql.runs was is what the view of that name reads, which also says what is live (sql/views/runs.sql).
ALTER TABLE embsql.runs RENAME TO run_records;
ALTER TABLE embsql.run_records ADD COLUMN promoted_at TIMESTAMP;

UPDATE embsql.run_records SET promoted_at = (
    SELECT max(said.logged_at)
    FROM embsql.events AS said
    WHERE said.run_id = run_records.run_id AND said.event IN ('promote', 'rollback')
);

-- also of runs that were published or promoted before this was written down
UPDATE embsql.run_records SET promoted_at = coalesce(finished_at, started_at)
WHERE promoted_at IS NULL AND run_id IN (
    SELECT model.live_run FROM embsql.models AS model
    UNION ALL
    SELECT unnest(model.earlier_runs) AS run_id FROM embsql.models AS model
);

COMMENT ON TABLE embsql.run_records IS 'Internal: what the view embsql.runs reads.';
COMMENT ON COLUMN embsql.run_records.status IS 'training, ready, failed or cancelled; the view also says live and retired';
COMMENT ON COLUMN embsql.run_records.promoted_at IS 'when it was last made live, UTC; NULL where it never was';
