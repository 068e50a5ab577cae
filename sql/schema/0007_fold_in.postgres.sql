-- How a run makes a user's vector of a history, so that it can be made in SQL of a history that was never trained on.

CREATE TABLE embsql.solvers (
    run_id bigint PRIMARY KEY,
    kind text NOT NULL,              -- least_squares projection mean; a run without a row here folds in by mean
    settings text NOT NULL           -- JSON: the numbers of its objective, see embsql.history
);

-- The rows of Y'Y, Y being the item vectors, for least squares.
CREATE TABLE embsql.gram (
    run_id bigint NOT NULL,
    position integer NOT NULL,       -- from 1
    entries vector NOT NULL,
    PRIMARY KEY (run_id, position)
);

-- What a weight is multiplied by first, for a projection that does not treat all items alike.
CREATE TABLE embsql.item_scales (
    run_id bigint NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    scale real NOT NULL,
    PRIMARY KEY (run_id, item_id)
);
