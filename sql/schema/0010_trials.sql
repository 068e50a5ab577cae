-- What a search of options tried on its way to a run, in words every engine reads: one row per setting.

CREATE TABLE embsql.trials (
    run_id BIGINT NOT NULL,
    trial INTEGER NOT NULL,          -- from 1, in the order they were tried
    params VARCHAR NOT NULL,         -- JSON: the options that were searched, with the values tried
    metric VARCHAR NOT NULL,         -- what decides, for example ndcg@10
    value FLOAT8,                    -- on pairs held out for the search alone; NULL: the trial failed
    seconds FLOAT8 NOT NULL,
    status VARCHAR NOT NULL,         -- done failed
    error VARCHAR,
    PRIMARY KEY (run_id, trial)
);
