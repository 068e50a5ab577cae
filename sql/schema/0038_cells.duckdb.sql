-- Search by cells (docs/decisions/0042): vectors lie in order of their cells, so that a scan passes over the others.
ALTER TABLE embsql.item_embeddings ADD COLUMN cell INTEGER DEFAULT 0;
ALTER TABLE embsql.user_embeddings ADD COLUMN cell INTEGER DEFAULT 0;
COMMENT ON COLUMN embsql.item_embeddings.cell IS 'its cell, see embsql.cells; 0: in none';
COMMENT ON COLUMN embsql.user_embeddings.cell IS 'its cell, see embsql.cells; 0: in none';

CREATE TABLE embsql.cells (
    run_id BIGINT NOT NULL,
    entity VARCHAR NOT NULL,
    similarity VARCHAR NOT NULL,
    cell INTEGER NOT NULL,
    size INTEGER NOT NULL,
    center FLOAT[] NOT NULL,
    bias FLOAT NOT NULL,
    reach FLOAT NOT NULL,
    budget INTEGER NOT NULL,         -- as what follows, the same for all cells of a search
    budget_100 INTEGER NOT NULL,
    recall FLOAT NOT NULL
);
COMMENT ON TABLE embsql.cells IS 'Internal: the cells of a large run''s vectors, of which a question reads a few.';
COMMENT ON COLUMN embsql.cells.run_id IS 'the run';
COMMENT ON COLUMN embsql.cells.entity IS 'item or user';
COMMENT ON COLUMN embsql.cells.similarity IS 'the score that they are chosen for: dot or cosine';
COMMENT ON COLUMN embsql.cells.cell IS 'the cell, from 1; near ones have near numbers';
COMMENT ON COLUMN embsql.cells.size IS 'how many vectors it has';
COMMENT ON COLUMN embsql.cells.center IS 'their mean; that of their directions, for cosine';
COMMENT ON COLUMN embsql.cells.bias IS 'the mean of their biases';
COMMENT ON COLUMN embsql.cells.reach IS 'how far above the center''s score the best may be, for a vector of length 1';
COMMENT ON COLUMN embsql.cells.budget IS 'for ten answers a cell is read with at most so many vectors in better ones';
COMMENT ON COLUMN embsql.cells.budget_100 IS 'the same for a hundred answers';
COMMENT ON COLUMN embsql.cells.recall IS 'of the true ten best, the share found so, measured as the run was written';

CREATE TABLE embsql.cell_members (
    run_id BIGINT NOT NULL,
    entity VARCHAR NOT NULL,
    entity_id VARCHAR NOT NULL,
    cell INTEGER NOT NULL
);
COMMENT ON TABLE embsql.cell_members IS 'Internal: in which cell an id''s vector lies, in order of id.';
COMMENT ON COLUMN embsql.cell_members.run_id IS 'the run';
COMMENT ON COLUMN embsql.cell_members.entity IS 'item or user';
COMMENT ON COLUMN embsql.cell_members.entity_id IS 'the id';
COMMENT ON COLUMN embsql.cell_members.cell IS 'its cell';
