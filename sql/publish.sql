-- What publishing reads, the same on every engine: all of a run, its large tables by pages in order of id.

-- runs: the record of a run
SELECT run.* FROM embsql.runs AS run WHERE run.run_id = $run_id

-- training_log: how a run went
SELECT entry.* FROM embsql.training_log AS entry WHERE entry.run_id = $run_id ORDER BY entry.metric, entry.epoch

-- metrics: what a run measured
SELECT figure.* FROM embsql.metrics AS figure
WHERE figure.run_id = $run_id
ORDER BY figure.split, figure.segment, figure.metric, figure.k

-- validations: what a run found in its source
SELECT finding.* FROM embsql.validations AS finding WHERE finding.run_id = $run_id ORDER BY finding.check_name

-- item_embeddings: the items after one
SELECT item.run_id, item.item_id, item.embedding, item.norm, item.bias, item.interactions
FROM embsql.item_embeddings AS item
WHERE item.run_id = $run_id AND item.item_id > $item_id
ORDER BY item.item_id
LIMIT $page

-- user_embeddings: the users after one
SELECT person.run_id, person.user_id, person.embedding, person.norm, person.bias, person.interactions
FROM embsql.user_embeddings AS person
WHERE person.run_id = $run_id AND person.user_id > $user_id
ORDER BY person.user_id
LIMIT $page

-- interactions: the pairs after one
SELECT past.run_id, past.user_id, past.item_id, past.weight, past.last_time
FROM embsql.interactions AS past
WHERE past.run_id = $run_id
    AND past.user_id >= $user_id
    AND (past.user_id > $user_id OR past.item_id > $item_id)
ORDER BY past.user_id, past.item_id
LIMIT $page

-- file: where an embedded database lives, NULL for memory
SELECT home.path FROM duckdb_databases() AS home WHERE home.database_name = current_database()

-- checkpoint: everything into the file, and an error if it cannot be
CHECKPOINT
