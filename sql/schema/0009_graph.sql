-- What a run walked on, when that was a graph of items: its own, or one that was given.

CREATE TABLE embsql.graph_edges (
    run_id BIGINT NOT NULL,
    source_node VARCHAR NOT NULL,    -- an item; every edge stands here in both directions
    target_node VARCHAR NOT NULL,
    weight FLOAT NOT NULL
);
