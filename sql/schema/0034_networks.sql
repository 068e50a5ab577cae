-- A trained sequence network as rows, so that the state after a history can be made in SQL.

CREATE TABLE embsql.networks (
    run_id BIGINT NOT NULL,
    kind VARCHAR NOT NULL,           -- gru or transformer
    n_layers INTEGER NOT NULL,
    n_heads INTEGER NOT NULL,
    max_length INTEGER NOT NULL,
    latest_time BIGINT               -- of a network that reads times: the last it was trained on
);

-- Linear maps, a row for each number that one gives. Layer 0 is added to the items: a mask behind
-- them, times; the one after the last is the output.
CREATE TABLE embsql.network_layers (
    run_id BIGINT NOT NULL,
    layer INTEGER NOT NULL,
    part VARCHAR NOT NULL,           -- which of the layer's maps (embsql/nn/network_rows.py)
    position INTEGER NOT NULL,       -- from 1
    weights FLOAT[] NOT NULL,
    bias FLOAT NOT NULL
);

-- When each item was first seen, for a network that reads how long it has been there.
CREATE TABLE embsql.item_first_times (
    run_id BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    first_time BIGINT NOT NULL       -- microseconds since 1970, or the source's own order
);

-- What such a run read of each user: the latest events in their order, repeats too.
CREATE TABLE embsql.histories (
    run_id BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,       -- from 1, the oldest that is kept
    item_id VARCHAR NOT NULL,
    event_time BIGINT                -- as first_time; NULL without times
);
