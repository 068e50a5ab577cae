-- A trained tower as rows, so that a newcomer's vector can be made in SQL of what is known about them.

-- What a value of a feature adds to the tower's first layer.
CREATE TABLE embsql.tower_features (
    run_id BIGINT NOT NULL,
    entity VARCHAR NOT NULL,         -- item or user
    feature VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,           -- category tags text number time items; always: a constant, under the name ''
    value VARCHAR,                   -- a known value, '' for the slope of a number; NULL: what is missing or unknown
    center FLOAT8,                   -- a number's mean and standard deviation; of a time in days since 1970
    scale FLOAT8,
    embedding FLOAT[] NOT NULL
);

-- The layers after it: each is linear in the positive part of the one before.
CREATE TABLE embsql.tower_layers (
    run_id BIGINT NOT NULL,
    entity VARCHAR NOT NULL,
    layer INTEGER NOT NULL,          -- from 2
    position INTEGER NOT NULL,       -- from 1
    weights FLOAT[] NOT NULL,
    bias FLOAT NOT NULL
);
