-- Since this version a mean of the items that goes through hidden layers is a network, too, and
-- so is a GRU that has learned from histories with each item once.
COMMENT ON COLUMN embsql.networks.kind IS
    'gru, gru_distinct (of each item once, at its last event), mean or transformer';
