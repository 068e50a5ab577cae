-- nearest by angle, the item itself left out, the item without a direction left out
SELECT * FROM embsql.similar_items('compass', 'east', k => 3);
--= it's "odd" 🙂 | 1 | 0.8944272
--= northeast | 2 | 0.7071068
--= north | 3 | 0.0

-- all others when k exceeds them; opposite is -1
SELECT item_id, rank, score FROM embsql.similar_items('compass', 'east', k => 99) WHERE rank > 3;
--= west | 4 | -1.0

-- an unknown item has no neighbors
SELECT * FROM embsql.similar_items('compass', 'atlantis');

-- an item without a direction has no neighbors
SELECT * FROM embsql.similar_items('compass', 'nowhere');

-- a quote, quotes and an emoji in an id are an id
SELECT * FROM embsql.similar_items('compass', 'it''s "odd" 🙂', k => 1);
--= northeast | 1 | 0.9486833

-- users: a zero vector is nobody's neighbor
SELECT * FROM embsql.similar_users('compass', 'ada');
--= cyd | 1 | 0.7071068
--= bob | 2 | 0.0

-- a zero vector is near nothing by cosine, and by dot product and bias is as near as the biases say
SELECT * FROM embsql.nearest_items('angles', ARRAY[0.0, 0.0]);

SELECT * FROM embsql.nearest_items('compass', ARRAY[0.0, 0.0], k => 2);
--= west | 1 | 0.5
--= nowhere | 2 | 0.25

-- a direction is one however short the vector is
SELECT item_id, rank FROM embsql.nearest_items('angles', ARRAY[1e-30, 0.0], k => 3);
--= east | 1
--= it's "odd" 🙂 | 2
--= northeast | 3

-- by dot product and bias
SELECT * FROM embsql.nearest_items('compass', ARRAY[0.0, 1.0], k => 3);
--= north | 1 | 1.0
--= northeast | 2 | 1.0
--= west | 3 | 0.5

-- by cosine, in a model whose similarity it is
SELECT * FROM embsql.nearest_items('angles', ARRAY[0.0, 5.0], k => 2);
--= north | 1 | 1.0
--= northeast | 2 | 0.7071068

-- users nearest to a vector that is asked for in the call
SELECT * FROM embsql.nearest_users('compass', (SELECT embedding FROM embsql.item_embedding('compass', items => ARRAY['north'])), k => 2);
--= cyd | 1 | 4.0
--= bob | 2 | 2.0

-- vectors by id; unknown ids left out
SELECT item_id, (CAST(embedding AS REAL[]))[1], norm, bias FROM embsql.item_embedding('compass', items => ARRAY['west', 'atlantis']);
--= west | -2.0 | 2.0 | 0.5

-- all vectors
SELECT count(*) FROM embsql.user_embedding('compass', users => NULL);
--= 4

-- a pinned run
SELECT count(*) FROM embsql.item_embedding('angles@2');
--= 6

-- many items at once: each once, in order of the id, what is unknown or has no direction left out
SELECT * FROM embsql.similar_items_batch('compass', ARRAY['north', 'east', NULL, 'atlantis', 'nowhere', 'east'], k => 2);
--= east | it's "odd" 🙂 | 1 | 0.8944272
--= east | northeast | 2 | 0.7071068
--= north | northeast | 1 | 0.7071068
--= north | it's "odd" 🙂 | 2 | 0.4472136

-- what one of a list has is what it has alone
SELECT count(*) FROM embsql.similar_items('compass', 'east', k => 99) AS alone JOIN embsql.similar_items_batch('compass', ARRAY['east', 'west'], k => 99) AS one ON one.for_item = 'east' AND one.item_id = alone.item_id AND one.rank = alone.rank AND one.score = alone.score;
--= 4

-- nobody is asked about
SELECT * FROM embsql.similar_items_batch('compass', CAST(ARRAY[] AS TEXT[]));

SELECT * FROM embsql.similar_items_batch('compass', CAST(NULL AS TEXT[]));

SELECT * FROM embsql.similar_items_batch('compass', ARRAY['east'], k => 0);

-- many users at once
SELECT * FROM embsql.similar_users_batch('compass', ARRAY['cyd', 'ada'], k => 1);
--= ada | cyd | 1 | 0.7071068
--= cyd | ada | 1 | 0.7071068
