-- a point per item, with its group where it has one
SELECT * FROM embsql.map('compass');
--= north | 0.0 | 1.0 | 1
--= west | -2.0 | 0.5 | NULL

-- a join by name
SELECT p.entity_id, e.norm FROM embsql.map('compass', entity => 'item', method => 'pca') AS p JOIN embsql.item_embedding('compass') AS e ON e.item_id = p.entity_id WHERE p.x < 0;
--= west | 2.0
