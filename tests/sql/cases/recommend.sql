-- what ada has seen (east, north) is left out; ties by id
SELECT * FROM embsql.recommend('compass', 'ada', k => 3);
--= northeast | 1 | 1.0 | model
--= it's "odd" 🙂 | 2 | 0.5 | model
--= nowhere | 3 | 0.25 | model

-- what was seen comes back on request, ties broken by id
SELECT item_id, rank FROM embsql.recommend('compass', 'ada', k => 2, exclude_seen => FALSE);
--= east | 1
--= northeast | 2

-- only candidates
SELECT item_id, score FROM embsql.recommend('compass', 'ada', candidates => ARRAY['west', 'east', 'nowhere', 'atlantis']);
--= nowhere | 0.25
--= west | -1.5

-- a stranger gets what is popular
SELECT * FROM embsql.recommend('compass', 'zoe', k => 3);
--= east | 1 | 3.0 | popular
--= north | 2 | 2.0 | popular
--= northeast | 3 | 2.0 | popular

-- under cosine a user without a direction is a stranger
SELECT item_id, source FROM embsql.recommend('angles', 'nil', k => 1);
--= east | popular

-- under cosine an item without a direction comes last, so that k rows come back
SELECT item_id, rank FROM embsql.recommend('angles', 'ada', k => 9) WHERE rank = 4;
--= nowhere | 4

-- users for an item, those who met it left out; the user's bias counts
SELECT * FROM embsql.recommend_users('compass', 'northeast', k => 3);
--= cyd | 1 | 7.0
--= bob | 2 | 2.0
--= ada | 3 | 1.0

-- with those who met it
SELECT user_id, score FROM embsql.recommend_users('compass', 'northeast', exclude_seen => FALSE) WHERE user_id = 'nil';
--= nil | 0.0

-- an unknown item interests nobody we know of
SELECT * FROM embsql.recommend_users('compass', 'atlantis');

-- a given list in order, unknown and NULL left out
SELECT * FROM embsql.rank_items('compass', 'ada', items => ARRAY['west', 'atlantis', 'east', NULL]);
--= east | 1 | 1.0
--= west | 2 | -1.5

-- one pair
SELECT embsql.score('compass', 'cyd', 'west');
--= -4.5

-- one pair by cosine
SELECT embsql.score('angles', 'cyd', 'north');
--= 0.7071068

-- no such user
SELECT embsql.score('compass', 'zoe', 'west');
--= NULL

-- the history that carried a score: shares by weight times cosine, adding up to the score
SELECT * FROM embsql.explain('compass', 'ada', 'northeast');
--= east | 2.0 | 0.6666667 | 0.6666667
--= north | 1.0 | 0.3333333 | 0.3333333
