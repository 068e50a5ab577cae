-- groups of items, the largest first: by its label, and without one by its most popular members
SELECT * FROM embsql.clusters('compass');
--= 0 | 2 | 0.5 | right | ['east', 'northeast']
--= 1 | 1 | 0.0 | north | ['north']

-- a group whose members are gone
SELECT label, top_ids FROM embsql.clusters('compass', clustering => 'far') WHERE cluster_id = 0;
--=  | []

-- several clusterings lie side by side
SELECT count(*) FROM embsql.clusters('compass', entity => 'item', clustering => 'far');
--= 2

-- who is in which group
SELECT * FROM embsql.cluster_members('compass');
--= east | 0 | 0.0 | 1.0
--= north | 1 | 0.0 | 1.0
--= northeast | 0 | 0.75 | 0.25

-- of a clustering by direction the vector's length does not count
SELECT * FROM embsql.nearest_cluster('compass', ARRAY[0.0, 7.0]);
--= 1 | 0.0
--= 0 | 1.4142136

-- of one of vectors as they are it does; equal distances by number
SELECT * FROM embsql.nearest_cluster('compass', ARRAY[1.5, 2.0], clustering => 'far');
--= 0 | 2.5
--= 1 | 2.5

-- a vector without a direction has no nearest direction
SELECT * FROM embsql.nearest_cluster('compass', ARRAY[0.0, 0.0]);

-- but a place
SELECT * FROM embsql.nearest_cluster('compass', ARRAY[0.0, 0.0], entity => 'item', clustering => 'far');
--= 1 | 0.0
--= 0 | 5.0

-- no vector, no group
SELECT * FROM embsql.nearest_cluster('compass', NULL);

-- the group an item's vector is nearest to
SELECT cluster_id FROM embsql.nearest_cluster('compass', (SELECT embedding FROM embsql.item_embedding('compass', items => ARRAY['west']))) LIMIT 1;
--= 1
