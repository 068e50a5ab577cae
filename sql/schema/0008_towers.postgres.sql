-- A trained tower as rows, so that a newcomer's vector can be made in SQL of what is known about them.

-- What a value of a feature adds to the tower's first layer.
CREATE TABLE embsql.tower_features (
    run_id bigint NOT NULL,
    entity text NOT NULL CHECK (entity IN ('item', 'user')),
    feature text COLLATE "C" NOT NULL,
    kind text NOT NULL,              -- category tags text number time items; always: a constant, under the name ''
    value text COLLATE "C",          -- a known value, '' for the slope of a number; NULL: what is missing or unknown
    center double precision,         -- a number's mean and standard deviation; of a time in days since 1970
    scale double precision,
    embedding vector NOT NULL
);
CREATE INDEX ON embsql.tower_features (run_id, entity, feature, value);
CREATE INDEX ON embsql.tower_features (run_id, entity) WHERE value IS NULL;

-- The layers after it: each is linear in the positive part of the one before.
CREATE TABLE embsql.tower_layers (
    run_id bigint NOT NULL,
    entity text NOT NULL CHECK (entity IN ('item', 'user')),
    layer integer NOT NULL,          -- from 2
    position integer NOT NULL,       -- from 1
    weights vector NOT NULL,
    bias real NOT NULL,
    PRIMARY KEY (run_id, entity, layer, position)
);
