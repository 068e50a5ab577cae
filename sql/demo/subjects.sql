-- A customer with a good dozen items, and an item that is known but not the best known.
SELECT
    (SELECT this.user_id FROM embsql.user_embeddings AS this WHERE this.run_id = embsql.live_run('demo')
     ORDER BY abs(this.interactions - 12) ASC, this.user_id ASC LIMIT 1) AS user_id,
    (SELECT this.item_id FROM embsql.item_embeddings AS this WHERE this.run_id = embsql.live_run('demo')
     ORDER BY this.interactions DESC, this.item_id ASC LIMIT 1 OFFSET 10) AS item_id
