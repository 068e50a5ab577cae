-- ada met east and north, both at 45 degrees; without times nothing is weighted by age
SELECT * FROM embsql.history_similarity('compass', 'ada', 'northeast');
--= 0.7071068 | 0.7071068 | 0.7071068 | 1.0 | NULL

-- cyd met east and west, which are opposite
SELECT mean, max, p90, share_above FROM embsql.history_similarity('compass', 'cyd', 'northeast');
--= 0.0 | 0.7071068 | 0.5656854 | 0.5

-- the item itself is left out: north is at a right angle to east
SELECT mean, max, share_above FROM embsql.history_similarity('compass', 'ada', 'east');
--= 0.0 | 0.0 | 0.0

-- a history of the item itself alone
SELECT * FROM embsql.history_similarity('compass', 'bob', 'north');

-- no such user
SELECT * FROM embsql.history_similarity('compass', 'zoe', 'north');

-- an item without a direction
SELECT * FROM embsql.history_similarity('compass', 'ada', 'nowhere');

-- what is known of a user
SELECT entity_id, norm, interactions, total_weight, mean_weight, first_time, last_time, mean_neighbor_degree, mean_cosine FROM embsql.features('compass');
--= ada | 1.0 | 2 | 3.0 | 1.5 | NULL | NULL | 2.5 | 0.5
--= bob | 2.0 | 1 | 1.0 | 1.0 | NULL | NULL | 2.0 | 1.0
--= cyd | 4.2426407 | 2 | 5.0 | 2.5 | NULL | NULL | 2.0 | 0.0
--= nil | 0.0 | 1 | 1.0 | 1.0 | NULL | NULL | 2.0 | NULL

-- of an item; one that nobody in the run met
SELECT entity_id, interactions, total_weight, mean_neighbor_degree FROM embsql.features('compass', entity => 'item') WHERE entity_id IN ('north', 'nowhere');
--= north | 2 | 2.0 | 1.5
--= nowhere | 0 | NULL | NULL

-- any other entity
SELECT * FROM embsql.features('compass', entity => 'shop');

-- Spark's names: ada and cyd
SELECT embsql.vector_inner_product(a.embedding, c.embedding), embsql.vector_cosine_similarity(a.embedding, c.embedding), embsql.vector_l2_distance(a.embedding, c.embedding), embsql.vector_norm(c.embedding) FROM embsql.features('compass') AS a CROSS JOIN embsql.features('compass') AS c WHERE a.entity_id = 'ada' AND c.entity_id = 'cyd';
--= 3.0 | 0.7071068 | 3.6055513 | 4.2426407

-- a zero vector has no cosine
SELECT embsql.vector_cosine_similarity(a.embedding, a.embedding) FROM embsql.features('compass') AS a WHERE a.entity_id = 'nil';
--= NULL

-- a mean of rows, by group
SELECT a.interactions, (CAST(embsql.vector_avg(a.embedding) AS REAL[]))[1] AS x, (CAST(embsql.vector_avg(a.embedding) AS REAL[]))[2] AS y FROM embsql.features('compass') AS a GROUP BY a.interactions ORDER BY a.interactions;
--= 1 | 0.0 | 1.0
--= 2 | 2.0 | 1.5

-- a mean of no rows
SELECT embsql.vector_avg(a.embedding) FROM embsql.features('compass') AS a WHERE a.entity_id = 'zoe';
--= NULL
