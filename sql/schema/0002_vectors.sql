-- The large tables: the vectors of every run, and what it was trained on.

CREATE TABLE embsql.item_embeddings (
    run_id BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    embedding FLOAT[] NOT NULL,
    norm FLOAT NOT NULL CHECK (isfinite(norm)),
    bias FLOAT NOT NULL CHECK (isfinite(bias)),
    interactions INTEGER NOT NULL
);

CREATE TABLE embsql.user_embeddings (
    run_id BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    embedding FLOAT[] NOT NULL,
    norm FLOAT NOT NULL CHECK (isfinite(norm)),
    bias FLOAT NOT NULL CHECK (isfinite(bias)),
    interactions INTEGER NOT NULL
);

-- What a run was trained on, ordered by user: what a user has seen, and what explains a score.
CREATE TABLE embsql.interactions (
    run_id BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    weight FLOAT NOT NULL,
    last_time BIGINT                 -- microseconds since 1970, or the source's own order; NULL without time
);
