-- What the gate of a run compared, and what it decided, in words every engine reads: one row per run that had one.

CREATE TABLE embsql.gates (
    run_id BIGINT PRIMARY KEY,
    verdict VARCHAR NOT NULL,        -- passed refused; off: gate was false
    split VARCHAR NOT NULL,          -- what was held out, as in metrics
    metric VARCHAR NOT NULL,         -- what decides, for example ndcg
    k INTEGER NOT NULL,
    value FLOAT8 NOT NULL,           -- of the run, over all users that its evaluation asks
    popular_value FLOAT8,            -- of recommending what is popular, over the same
    compared_run BIGINT,             -- the run that was live; NULL: nothing was
    basis VARCHAR NOT NULL,          -- what stood for it. vectors: its own, as they are; options: its algorithm, trained
                                     -- anew on this run's training part; same: its options are this run's; none
    users BIGINT,                    -- asked of both; NULL, as all that follows, when nothing was compared
    left_out BIGINT,                 -- users whom the evaluation asks, and the comparison does not
    new_value FLOAT8,
    live_value FLOAT8,
    difference FLOAT8,               -- new - live
    ci_low FLOAT8,                   -- 95% interval of the difference
    ci_high FLOAT8,
    tolerance FLOAT8 NOT NULL,       -- share of live_value that the run may be below
    reason VARCHAR                   -- why it was refused, or why nothing was compared
);
