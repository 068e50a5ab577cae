-- What top-k tables are made of in Spark.

-- top_items: the users of a run, each with what they have seen
SELECT person.user_id, person.embedding, person.bias, coalesce(past.item_ids, CAST(array() AS ARRAY<STRING>)) AS seen
FROM embsql.user_embeddings AS person
LEFT JOIN (
    SELECT pair.user_id, collect_list(pair.item_id) AS item_ids
    FROM embsql.interactions AS pair
    WHERE pair.run_id = $run_id
    GROUP BY pair.user_id
) AS past ON past.user_id = person.user_id
WHERE person.run_id = $run_id

-- neighbors: the items of a run
SELECT item.item_id, item.embedding, item.bias FROM embsql.item_embeddings AS item WHERE item.run_id = $run_id

-- count_top_items: how many rows there are
SELECT count(*) AS rows FROM embsql.top_items AS best WHERE best.run_id = $run_id

-- count_neighbors: how many rows there are
SELECT count(*) AS rows FROM embsql.neighbors AS near WHERE near.run_id = $run_id
