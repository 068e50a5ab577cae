-- What the tables of sequence networks hold, for who browses the schema.

COMMENT ON TABLE embsql.networks IS 'Internal: the sequence network of each run that has one.';
COMMENT ON COLUMN embsql.networks.run_id IS 'the run';
COMMENT ON COLUMN embsql.networks.kind IS 'gru or transformer';
COMMENT ON COLUMN embsql.networks.n_layers IS 'layers, without the output';
COMMENT ON COLUMN embsql.networks.n_heads IS 'parts of the vectors that attend on their own';
COMMENT ON COLUMN embsql.networks.max_length IS 'the latest so many events are read';
COMMENT ON COLUMN embsql.networks.latest_time IS
    'of a network that reads times: the last it was trained on';

COMMENT ON TABLE embsql.network_layers IS 'Internal: the linear maps of a sequence network.';
COMMENT ON COLUMN embsql.network_layers.run_id IS 'the run';
COMMENT ON COLUMN embsql.network_layers.layer IS 'counted from the input, which is 0';
COMMENT ON COLUMN embsql.network_layers.part IS 'which of the layer''s maps';
COMMENT ON COLUMN embsql.network_layers.position IS 'the row';
COMMENT ON COLUMN embsql.network_layers.weights IS 'the row''s numbers';
COMMENT ON COLUMN embsql.network_layers.bias IS 'the row''s bias';

COMMENT ON TABLE embsql.item_first_times IS
    'Internal: when each item was first seen, for a network that reads times.';
COMMENT ON COLUMN embsql.item_first_times.run_id IS 'the run';
COMMENT ON COLUMN embsql.item_first_times.item_id IS 'the item';
COMMENT ON COLUMN embsql.item_first_times.first_time IS
    'in microseconds since 1970, or in the source''s own order';

COMMENT ON TABLE embsql.histories IS
    'The latest events of each user, in order, that a run with a sequence network read.';
COMMENT ON COLUMN embsql.histories.run_id IS 'the run';
COMMENT ON COLUMN embsql.histories.user_id IS 'the user';
COMMENT ON COLUMN embsql.histories.position IS 'counted from the oldest event that is kept';
COMMENT ON COLUMN embsql.histories.item_id IS 'the item';
COMMENT ON COLUMN embsql.histories.event_time IS
    'in microseconds since 1970, or in the source''s own order; NULL without times';
