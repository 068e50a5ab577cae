-- What publishing reads, the same on every engine: all of a run, its large tables by pages in order of id.

-- run_records: the record of a run
SELECT run.* FROM embsql.run_records AS run WHERE run.run_id = $run_id

-- training_log: how a run went
SELECT entry.* FROM embsql.training_log AS entry WHERE entry.run_id = $run_id ORDER BY entry.metric ASC, entry.epoch ASC

-- metrics: what a run measured
SELECT figure.* FROM embsql.metrics AS figure
WHERE figure.run_id = $run_id
ORDER BY figure.split ASC, figure.segment ASC, figure.metric ASC, figure.k ASC

-- source_checks: what a run found in its source
SELECT finding.* FROM embsql.source_checks AS finding WHERE finding.run_id = $run_id ORDER BY finding.check_name ASC

-- trials: what a run tried when it searched its options
SELECT tried.* FROM embsql.trials AS tried WHERE tried.run_id = $run_id ORDER BY tried.trial ASC

-- gates: what its gate compared
SELECT judged.* FROM embsql.gates AS judged WHERE judged.run_id = $run_id

-- fold_in_settings: how a run folds in
SELECT solver.* FROM embsql.fold_in_settings AS solver WHERE solver.run_id = $run_id

-- item_gramian: the products of its items' dimensions
SELECT line.run_id, line.position, line.entries FROM embsql.item_gramian AS line WHERE line.run_id = $run_id ORDER BY line.position ASC

-- item_weights: what its weights are multiplied by
SELECT part.run_id, part.item_id, part.scale FROM embsql.item_weights AS part
WHERE part.run_id = $run_id
ORDER BY part.item_id ASC

-- graph_edges: what it walked on
SELECT edge.run_id, edge.source_node, edge.target_node, edge.weight FROM embsql.graph_edges AS edge
WHERE edge.run_id = $run_id
ORDER BY edge.source_node ASC, edge.target_node ASC

-- tower_features: what features add to a newcomer's vector
SELECT
    part.run_id, part.entity, part.feature, part.kind, part.value, part.center, part.scale, part.embedding
FROM embsql.tower_features AS part
WHERE part.run_id = $run_id
ORDER BY part.entity ASC, part.feature ASC, part.value ASC

-- tower_layers: the layers after it
SELECT line.run_id, line.entity, line.layer, line.position, line.weights, line.bias
FROM embsql.tower_layers AS line
WHERE line.run_id = $run_id
ORDER BY line.entity ASC, line.layer ASC, line.position ASC

-- networks: a sequence network
SELECT network.* FROM embsql.networks AS network WHERE network.run_id = $run_id

-- network_layers: its linear maps
SELECT line.run_id, line.layer, line.part, line.position, line.weights, line.bias
FROM embsql.network_layers AS line
WHERE line.run_id = $run_id
ORDER BY line.layer ASC, line.part ASC, line.position ASC

-- item_first_times: when each item was first seen
SELECT item.run_id, item.item_id, item.first_time FROM embsql.item_first_times AS item
WHERE item.run_id = $run_id
ORDER BY item.item_id ASC

-- clusters: a run's clusters
SELECT found.* FROM embsql.clusters AS found
WHERE found.run_id = $run_id
ORDER BY found.entity_kind ASC, found.clustering_name ASC, found.cluster_id ASC

-- cluster_members: who is in them
SELECT member.* FROM embsql.cluster_members AS member
WHERE member.run_id = $run_id
ORDER BY member.entity_kind ASC, member.clustering_name ASC, member.entity_id ASC

-- maps: a run's maps
SELECT point.* FROM embsql.maps AS point
WHERE point.run_id = $run_id
ORDER BY point.entity_kind ASC, point.method_name ASC, point.entity_id ASC

-- top_items: what is shown to every user
SELECT best.* FROM embsql.top_items AS best WHERE best.run_id = $run_id ORDER BY best.user_id ASC, best.rank ASC

-- neighbors: what is near every item
SELECT near.* FROM embsql.neighbors AS near WHERE near.run_id = $run_id ORDER BY near.entity ASC, near.entity_id ASC, near.rank ASC

-- item_embeddings: the items after one
SELECT item.run_id, item.item_id, item.embedding, item.norm, item.bias, item.interactions
FROM embsql.item_embeddings AS item
WHERE item.run_id = $run_id AND item.item_id > $item_id
ORDER BY item.item_id ASC
LIMIT $page

-- user_embeddings: the users after one
SELECT person.run_id, person.user_id, person.embedding, person.norm, person.bias, person.interactions
FROM embsql.user_embeddings AS person
WHERE person.run_id = $run_id AND person.user_id > $user_id
ORDER BY person.user_id ASC
LIMIT $page

-- interactions: the pairs after one
SELECT past.run_id, past.user_id, past.item_id, past.weight, past.last_time
FROM embsql.interactions AS past
WHERE past.run_id = $run_id
    AND past.user_id >= $user_id
    AND (past.user_id > $user_id OR past.item_id > $item_id)
ORDER BY past.user_id ASC, past.item_id ASC
LIMIT $page

-- histories: the events after one, in the order of each user
SELECT past.run_id, past.user_id, past.position, past.item_id, past.event_time
FROM embsql.histories AS past
WHERE past.run_id = $run_id
    AND past.user_id >= $user_id
    AND (past.user_id > $user_id OR past.position > $position)
ORDER BY past.user_id ASC, past.position ASC
LIMIT $page

-- people: the users of a run
SELECT person.user_id FROM embsql.user_embeddings AS person WHERE person.run_id = $run_id ORDER BY person.user_id ASC

-- file: where an embedded database lives, NULL for memory
SELECT home.path FROM duckdb_databases() AS home WHERE home.database_name = current_database()

-- checkpoint: everything into the file, and an error if it cannot be
CHECKPOINT
