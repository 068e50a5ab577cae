-- What embsql.materialise writes for joins in BI: rows of a run, made anew as a whole. Of two who make them at once the
-- keys refuse one, which then begins again.

CREATE TABLE embsql.top_items (
    run_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    rank integer NOT NULL,           -- from 1
    item_id text COLLATE "C" NOT NULL,
    score double precision NOT NULL, -- as embsql.recommend answers
    PRIMARY KEY (run_id, user_id, rank)
);

CREATE TABLE embsql.neighbors (
    run_id bigint NOT NULL,
    entity text NOT NULL CHECK (entity IN ('item', 'user')),
    entity_id text COLLATE "C" NOT NULL,
    rank integer NOT NULL,           -- from 1
    neighbor_id text COLLATE "C" NOT NULL,
    score double precision NOT NULL, -- the cosine, as embsql.similar_items answers
    PRIMARY KEY (run_id, entity, entity_id, rank)
);
