-- What runs were trained on, each pair once for all runs that have it (docs/decisions/0043). Every run of an earlier
-- version is a series of its own, so no row is written anew.
ALTER TABLE embsql.interactions RENAME TO pair_versions;
ALTER TABLE embsql.pair_versions RENAME COLUMN run_id TO series;
ALTER TABLE embsql.pair_versions ADD COLUMN from_snapshot INTEGER DEFAULT 1;
ALTER TABLE embsql.pair_versions ADD COLUMN to_snapshot INTEGER;
COMMENT ON TABLE embsql.pair_versions IS 'Internal: what the view embsql.interactions reads.';
COMMENT ON COLUMN embsql.pair_versions.series IS 'the series of snapshots';
COMMENT ON COLUMN embsql.pair_versions.from_snapshot IS 'the first snapshot of the series that has the row';
COMMENT ON COLUMN embsql.pair_versions.to_snapshot IS 'the first that has it no more; NULL: the last has it';

CREATE TABLE embsql.snapshot_series (
    series BIGINT PRIMARY KEY,
    held BIGINT NOT NULL             -- counts who held it while they changed it
);
INSERT INTO embsql.snapshot_series SELECT DISTINCT pair.series, 0 FROM embsql.pair_versions AS pair;
COMMENT ON TABLE embsql.snapshot_series IS 'Internal: snapshots of a source that follow each other.';
COMMENT ON COLUMN embsql.snapshot_series.series IS 'a number';
COMMENT ON COLUMN embsql.snapshot_series.held IS 'counts who held it while they changed it';

ALTER TABLE embsql.run_records ADD COLUMN series BIGINT;
ALTER TABLE embsql.run_records ADD COLUMN snapshot INTEGER;
UPDATE embsql.run_records SET series = run_id, snapshot = 1
WHERE run_id IN (SELECT one.series FROM embsql.snapshot_series AS one);
COMMENT ON COLUMN embsql.run_records.series IS 'the series of snapshots that what it was trained on is in';
COMMENT ON COLUMN embsql.run_records.snapshot IS 'which of them it is';

CREATE VIEW embsql.interactions AS
SELECT run.run_id, pair.user_id, pair.item_id, pair.weight, pair.last_time
FROM embsql.run_records AS run
JOIN embsql.pair_versions AS pair
    ON pair.series = run.series AND pair.from_snapshot <= run.snapshot
    AND (pair.to_snapshot IS NULL OR pair.to_snapshot > run.snapshot);
COMMENT ON VIEW embsql.interactions IS 'What each run was trained on: what a user has seen, and what explains a score.';
COMMENT ON COLUMN embsql.interactions.run_id IS 'the run';
COMMENT ON COLUMN embsql.interactions.user_id IS 'the user';
COMMENT ON COLUMN embsql.interactions.item_id IS 'the item';
COMMENT ON COLUMN embsql.interactions.weight IS 'how much of it';
COMMENT ON COLUMN embsql.interactions.last_time IS 'microseconds since 1970, or the source''s own order; NULL without time';
