-- The three large tables have one partition per run (in schema embsql_runs): loaded and indexed where nobody reads,
-- dropped in one step. Ids compare by their bytes, so that ties by id are the same on every engine and every server.
-- embedding is an untyped vector: runs of different lengths lie side by side.
CREATE TABLE embsql.item_embeddings (
    run_id bigint NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    embedding vector NOT NULL,
    norm real NOT NULL CHECK (norm >= 0 AND norm < 'Infinity'),
    bias real NOT NULL CHECK (bias > '-Infinity' AND bias < 'Infinity'),
    interactions integer NOT NULL,
    PRIMARY KEY (run_id, item_id)
) PARTITION BY LIST (run_id);

CREATE INDEX ON embsql.item_embeddings (interactions DESC, item_id);

CREATE TABLE embsql.user_embeddings (
    run_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    embedding vector NOT NULL,
    norm real NOT NULL CHECK (norm >= 0 AND norm < 'Infinity'),
    bias real NOT NULL CHECK (bias > '-Infinity' AND bias < 'Infinity'),
    interactions integer NOT NULL,
    PRIMARY KEY (run_id, user_id)
) PARTITION BY LIST (run_id);

-- What a run was trained on: what a user has seen, and what explains a score.
CREATE TABLE embsql.interactions (
    run_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    weight real NOT NULL,
    last_time bigint                 -- microseconds since 1970, or the source's own order; NULL without time
) PARTITION BY LIST (run_id);
CREATE INDEX ON embsql.interactions (user_id);
CREATE INDEX ON embsql.interactions (item_id);

-- The approximate indexes (HNSW) there are. metric: cosine, or dot for the run's dot product with its biases.
CREATE TABLE embsql.vector_indexes (
    run_id bigint NOT NULL,
    entity text NOT NULL CHECK (entity IN ('item', 'user')),
    metric text NOT NULL CHECK (metric IN ('cosine', 'dot')),
    storage text NOT NULL CHECK (storage IN ('vector', 'halfvec')),
    dim integer NOT NULL,
    PRIMARY KEY (run_id, entity, metric)
);

-- Names order by their bytes too.
ALTER TABLE embsql.models ALTER COLUMN model_name TYPE text COLLATE "C";
ALTER TABLE embsql.runs ALTER COLUMN model_name TYPE text COLLATE "C";
ALTER TABLE embsql.training_log ALTER COLUMN metric TYPE text COLLATE "C";
ALTER TABLE embsql.metrics
    ALTER COLUMN split TYPE text COLLATE "C",
    ALTER COLUMN segment TYPE text COLLATE "C",
    ALTER COLUMN metric TYPE text COLLATE "C";
ALTER TABLE embsql.validations ALTER COLUMN check_name TYPE text COLLATE "C";

CREATE INDEX ON embsql.runs (model_name, run_id);
CREATE INDEX ON embsql.training_log (run_id);
CREATE INDEX ON embsql.metrics (run_id);
CREATE INDEX ON embsql.validations (run_id);
