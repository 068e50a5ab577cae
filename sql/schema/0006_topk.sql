-- What embsql.materialise writes for joins in BI: rows of a run, made anew as a whole.

CREATE TABLE embsql.top_items (
    run_id BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,           -- from 1
    item_id VARCHAR NOT NULL,
    score FLOAT8 NOT NULL            -- as embsql.recommend answers
);

CREATE TABLE embsql.neighbors (
    run_id BIGINT NOT NULL,
    entity VARCHAR NOT NULL,         -- item or user
    entity_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,           -- from 1
    neighbor_id VARCHAR NOT NULL,
    score FLOAT8 NOT NULL            -- the cosine, as embsql.similar_items answers
);
