-- k of 0: no rows
SELECT * FROM embsql.similar_items('compass', 'east', k => 0);

-- k below 0: no rows
SELECT * FROM embsql.similar_items('compass', 'east', k => -1);

-- k of NULL is not the default: no rows
SELECT * FROM embsql.similar_items('compass', 'east', k => NULL);

-- k beyond what there is: all
SELECT count(*) FROM embsql.similar_items('compass', 'east', k => 1000000);
--= 4

-- users: k of 0
SELECT * FROM embsql.similar_users('compass', 'ada', k => 0);

-- users: k below 0
SELECT * FROM embsql.similar_users('compass', 'ada', k => -5);

-- users: k of NULL
SELECT * FROM embsql.similar_users('compass', 'ada', k => NULL);

-- users: k beyond what there is
SELECT count(*) FROM embsql.similar_users('compass', 'ada', k => 1000000);
--= 2

-- by vector: k of 0
SELECT * FROM embsql.nearest_items('compass', ARRAY[0.0, 1.0], k => 0);

-- by vector: k below 0
SELECT * FROM embsql.nearest_items('compass', ARRAY[0.0, 1.0], k => -1);

-- by vector: k of NULL
SELECT * FROM embsql.nearest_items('compass', ARRAY[0.0, 1.0], k => NULL);

-- by vector: k beyond what there is
SELECT count(*) FROM embsql.nearest_items('compass', ARRAY[0.0, 1.0], k => 1000000);
--= 6

-- users by vector: k of 0
SELECT * FROM embsql.nearest_users('compass', ARRAY[0.0, 1.0], k => 0);

-- users by vector: k below 0
SELECT * FROM embsql.nearest_users('compass', ARRAY[0.0, 1.0], k => -1);

-- users by vector: k of NULL
SELECT * FROM embsql.nearest_users('compass', ARRAY[0.0, 1.0], k => NULL);

-- users by vector: k beyond what there is
SELECT count(*) FROM embsql.nearest_users('compass', ARRAY[0.0, 1.0], k => 1000000);
--= 4

-- recommend: k of 0
SELECT * FROM embsql.recommend('compass', 'ada', k => 0);

-- recommend: k below 0
SELECT * FROM embsql.recommend('compass', 'ada', k => -1);

-- recommend: k of NULL
SELECT * FROM embsql.recommend('compass', 'ada', k => NULL);

-- recommend: k beyond what there is
SELECT count(*) FROM embsql.recommend('compass', 'ada', k => 1000000);
--= 4

-- what is popular: k of 0
SELECT * FROM embsql.recommend('compass', 'zoe', k => 0);

-- what is popular: k below 0
SELECT * FROM embsql.recommend('compass', 'zoe', k => -1);

-- what is popular: k of NULL
SELECT * FROM embsql.recommend('compass', 'zoe', k => NULL);

-- what is popular: k beyond what there is
SELECT count(*) FROM embsql.recommend('compass', 'zoe', k => 1000000);
--= 6

-- users for an item: k of 0
SELECT * FROM embsql.recommend_users('compass', 'northeast', k => 0);

-- users for an item: k below 0
SELECT * FROM embsql.recommend_users('compass', 'northeast', k => -1);

-- users for an item: k of NULL
SELECT * FROM embsql.recommend_users('compass', 'northeast', k => NULL);

-- users for an item: k beyond what there is
SELECT count(*) FROM embsql.recommend_users('compass', 'northeast', k => 1000000);
--= 3

-- coherence: k of 0
SELECT * FROM embsql.coherence('compass', ARRAY['east', 'west'], ARRAY['a', 'a'], k => 0);

-- coherence: k below 0
SELECT * FROM embsql.coherence('compass', ARRAY['east', 'west'], ARRAY['a', 'a'], k => -1);

-- coherence: k of NULL
SELECT * FROM embsql.coherence('compass', ARRAY['east', 'west'], ARRAY['a', 'a'], k => NULL);

-- a list without entries: nothing to rank
SELECT * FROM embsql.rank_items('compass', 'ada', items => CAST(ARRAY[] AS TEXT[]));

-- no list: nothing to rank
SELECT * FROM embsql.rank_items('compass', 'ada', items => NULL);

-- candidates without entries: none
SELECT * FROM embsql.recommend('compass', 'ada', candidates => CAST(ARRAY[] AS TEXT[]));

-- candidates of which none is known: none
SELECT * FROM embsql.recommend('compass', 'ada', candidates => ARRAY['atlantis', NULL]);

-- candidates for a stranger, one of them NULL
SELECT item_id, source FROM embsql.recommend('compass', 'zoe', candidates => ARRAY[NULL, 'west']);
--= west | popular

-- a list of vectors without entries: none
SELECT * FROM embsql.item_embedding('compass', items => CAST(ARRAY[] AS TEXT[]));

-- NULL in a list of vectors names nothing
SELECT user_id FROM embsql.user_embedding('compass', users => ARRAY[NULL, 'ada', 'zoe']);
--= ada

-- no subject: no rows
SELECT * FROM embsql.similar_items('compass', NULL);

-- no vector: no rows
SELECT * FROM embsql.nearest_items('compass', NULL);

-- no vector of a user either: no rows
SELECT * FROM embsql.nearest_users('compass', NULL);
