-- How a run makes a user's vector of a history, so that it can be made in SQL of a history that was never trained on.

CREATE TABLE embsql.solvers (
    run_id BIGINT NOT NULL,
    kind VARCHAR NOT NULL,           -- least_squares projection mean; a run without a row here folds in by mean
    settings VARCHAR NOT NULL        -- JSON: the numbers of its objective, see embsql.history
);

-- The rows of Y'Y, Y being the item vectors, for least squares.
CREATE TABLE embsql.gram (
    run_id BIGINT NOT NULL,
    position INTEGER NOT NULL,       -- from 1
    entries FLOAT[] NOT NULL
);

-- What a weight is multiplied by first, for a projection that does not treat all items alike.
CREATE TABLE embsql.item_scales (
    run_id BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    scale FLOAT NOT NULL
);
