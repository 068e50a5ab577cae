-- Search by cells (docs/decisions/0046): vectors lie in order of their cells, so that a scan passes over the others.
-- The tables are made anew. A column that is added to them would make a file unreadable whose process is killed before
-- the next checkpoint: DuckDB cannot replay that where a CHECK calls a function (findings/duckdb_comment_blocks_replay.sh).
-- These compare, which DuckDB replays; NaN is more than infinity.
CREATE TABLE embsql.item_vectors (
    run_id BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    embedding FLOAT[] NOT NULL,
    norm FLOAT NOT NULL CHECK (norm > CAST('-infinity' AS FLOAT) AND norm < CAST('infinity' AS FLOAT)),
    bias FLOAT NOT NULL CHECK (bias > CAST('-infinity' AS FLOAT) AND bias < CAST('infinity' AS FLOAT)),
    interactions INTEGER NOT NULL,
    cell INTEGER NOT NULL DEFAULT 0
);
INSERT INTO embsql.item_vectors (run_id, item_id, embedding, norm, bias, interactions)
SELECT item.run_id, item.item_id, item.embedding, item.norm, item.bias, item.interactions
FROM embsql.item_embeddings AS item;
DROP TABLE embsql.item_embeddings;
ALTER TABLE embsql.item_vectors RENAME TO item_embeddings;

CREATE TABLE embsql.user_vectors (
    run_id BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    embedding FLOAT[] NOT NULL,
    norm FLOAT NOT NULL CHECK (norm > CAST('-infinity' AS FLOAT) AND norm < CAST('infinity' AS FLOAT)),
    bias FLOAT NOT NULL CHECK (bias > CAST('-infinity' AS FLOAT) AND bias < CAST('infinity' AS FLOAT)),
    interactions INTEGER NOT NULL,
    cell INTEGER NOT NULL DEFAULT 0
);
INSERT INTO embsql.user_vectors (run_id, user_id, embedding, norm, bias, interactions)
SELECT person.run_id, person.user_id, person.embedding, person.norm, person.bias, person.interactions
FROM embsql.user_embeddings AS person;
DROP TABLE embsql.user_embeddings;
ALTER TABLE embsql.user_vectors RENAME TO user_embeddings;

COMMENT ON TABLE embsql.item_embeddings IS 'The vectors of items, of every run. Read the live ones through embsql.item_embedding(model).';
COMMENT ON COLUMN embsql.item_embeddings.run_id IS 'the run';
COMMENT ON COLUMN embsql.item_embeddings.item_id IS 'the item, as text';
COMMENT ON COLUMN embsql.item_embeddings.embedding IS 'its vector';
COMMENT ON COLUMN embsql.item_embeddings.norm IS 'the vector''s length';
COMMENT ON COLUMN embsql.item_embeddings.bias IS 'what is added to each score of the item';
COMMENT ON COLUMN embsql.item_embeddings.interactions IS 'how many users it has';
COMMENT ON COLUMN embsql.item_embeddings.cell IS 'its cell, see embsql.cells; 0: in none';
COMMENT ON TABLE embsql.user_embeddings IS 'The vectors of users, of every run. Read the live ones through embsql.user_embedding(model).';
COMMENT ON COLUMN embsql.user_embeddings.run_id IS 'the run';
COMMENT ON COLUMN embsql.user_embeddings.user_id IS 'the user, as text';
COMMENT ON COLUMN embsql.user_embeddings.embedding IS 'their vector';
COMMENT ON COLUMN embsql.user_embeddings.norm IS 'the vector''s length';
COMMENT ON COLUMN embsql.user_embeddings.bias IS 'what is added to each score of the user';
COMMENT ON COLUMN embsql.user_embeddings.interactions IS 'how many items they have';
COMMENT ON COLUMN embsql.user_embeddings.cell IS 'their cell, see embsql.cells; 0: in none';

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
