-- What a run walked on, when that was a graph of items: its own, or one that was given.

CREATE TABLE embsql.graph_edges (
    run_id bigint NOT NULL,
    source_node text COLLATE "C" NOT NULL, -- an item; every edge stands here in both directions
    target_node text COLLATE "C" NOT NULL,
    weight real NOT NULL,
    PRIMARY KEY (run_id, source_node, target_node)
);
