-- Trials of algorithm => 'auto', which are of several algorithms and have intervals and reasons.
ALTER TABLE embsql.trials ADD COLUMN algorithm VARCHAR;
ALTER TABLE embsql.trials ADD COLUMN ci_low FLOAT8;
ALTER TABLE embsql.trials ADD COLUMN ci_high FLOAT8;
ALTER TABLE embsql.trials ADD COLUMN chosen BOOLEAN;
ALTER TABLE embsql.trials ADD COLUMN reason VARCHAR;

COMMENT ON COLUMN embsql.trials.status IS
    'done, failed, stopped, skipped, or reference: what a model is compared with';
COMMENT ON COLUMN embsql.trials.algorithm IS 'what was tried, where algorithm is auto';
COMMENT ON COLUMN embsql.trials.ci_low IS 'lower end of the 95% interval of the figure, over users';
COMMENT ON COLUMN embsql.trials.ci_high IS 'upper end of the 95% interval of the figure, over users';
COMMENT ON COLUMN embsql.trials.chosen IS 'whether the run was trained so, where algorithm is auto';
COMMENT ON COLUMN embsql.trials.reason IS 'why it was chosen, or was not';
