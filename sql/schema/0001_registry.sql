-- What is known of models and runs, in words every engine reads. A run's rows never change once it is ready;
-- promotion moves one pointer.

CREATE SEQUENCE embsql.run_ids;

-- One row per model. live_run is the only statement of what is live; earlier_runs is the stack behind it.
CREATE TABLE embsql.models (
    model_name VARCHAR PRIMARY KEY,
    live_run BIGINT,
    earlier_runs BIGINT[] NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE embsql.runs (
    run_id BIGINT PRIMARY KEY,
    model_name VARCHAR NOT NULL,
    algorithm VARCHAR NOT NULL,
    params VARCHAR NOT NULL,         -- JSON: every option with the value used
    source_sql VARCHAR NOT NULL,
    source_hash VARCHAR,             -- of the interactions read, so that unchanged input is recognised
    seed BIGINT NOT NULL,
    dim INTEGER,
    similarity VARCHAR,              -- dot or cosine: how a user and an item vector make a score
    status VARCHAR NOT NULL,         -- training ready failed cancelled; live and retired follow from models
    users BIGINT,
    items BIGINT,
    interactions BIGINT,
    checksum VARCHAR,                -- of the vectors
    error VARCHAR,
    versions VARCHAR NOT NULL,       -- JSON: embsql, python, numpy, duckdb, threads, device
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP
);

CREATE TABLE embsql.training_log (
    run_id BIGINT NOT NULL,
    epoch INTEGER NOT NULL,
    metric VARCHAR NOT NULL,
    value FLOAT8 NOT NULL,
    logged_at TIMESTAMP NOT NULL
);

CREATE TABLE embsql.metrics (
    run_id BIGINT NOT NULL,
    split VARCHAR NOT NULL,
    segment VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    k INTEGER NOT NULL,
    value FLOAT8,
    popular_value FLOAT8,
    itemknn_value FLOAT8,
    ci_low FLOAT8,
    ci_high FLOAT8
);

-- What the source looked like when a run read it.
CREATE TABLE embsql.validations (
    run_id BIGINT NOT NULL,
    check_name VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,       -- error warning info ok
    affected BIGINT NOT NULL,        -- rows, users or items the check is about
    example VARCHAR,
    hint VARCHAR
);

-- Who trains which model now. A lease whose heart has stopped is taken over.
CREATE TABLE embsql.leases (
    model_name VARCHAR PRIMARY KEY,
    owner VARCHAR NOT NULL,
    run_id BIGINT NOT NULL,
    host VARCHAR NOT NULL,
    pid INTEGER NOT NULL,
    cancelled BOOLEAN NOT NULL,
    heartbeat_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);

CREATE TABLE embsql.events (
    logged_at TIMESTAMP NOT NULL,
    model_name VARCHAR,
    run_id BIGINT,
    event VARCHAR NOT NULL,
    detail VARCHAR
);
