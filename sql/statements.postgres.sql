-- What PostgreSQL says in its own way: a run's large rows are partitions.

-- drop_item_embeddings: part of dropping a run
SELECT embsql.drop_partition('item_embeddings', $run_id)

-- drop_user_embeddings: part of dropping a run
SELECT embsql.drop_partition('user_embeddings', $run_id)

-- drop_interactions: part of dropping a run
SELECT embsql.drop_partition('interactions', $run_id)
