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
SELECT item_id, rank, score FROM embsql.recommend('angles', 'ada', k => 9) WHERE rank = 4;
--= nowhere | 4 | NULL

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

-- many users at once, each once: a stranger gets what is popular, NULL is nobody
SELECT * FROM embsql.recommend_batch('compass', ARRAY['zoe', 'ada', NULL, 'zoe'], k => 2);
--= ada | northeast | 1 | 1.0 | model
--= ada | it's "odd" 🙂 | 2 | 0.5 | model
--= zoe | east | 1 | 3.0 | popular
--= zoe | north | 2 | 2.0 | popular

-- many users, what they have seen included
SELECT for_user, item_id, rank FROM embsql.recommend_batch('compass', ARRAY['ada'], k => 2, exclude_seen => FALSE);
--= ada | east | 1
--= ada | northeast | 2

-- many users, only candidates
SELECT for_user, item_id, score FROM embsql.recommend_batch('compass', ARRAY['ada', 'zoe'], candidates => ARRAY['west', 'east', 'nowhere', 'atlantis'], k => 2);
--= ada | nowhere | 0.25
--= ada | west | -1.5
--= zoe | east | 3.0
--= zoe | nowhere | 1.0

-- many users under cosine: one without a direction gets what is popular, an item without one comes last
SELECT for_user, item_id, rank, source FROM embsql.recommend_batch('angles', ARRAY['ada', 'nil'], k => 9) WHERE rank IN (1, 4);
--= ada | it's "odd" 🙂 | 1 | model
--= ada | nowhere | 4 | model
--= nil | east | 1 | popular
--= nil | nowhere | 4 | popular

-- no user, no rows
SELECT * FROM embsql.recommend_batch('compass', CAST(ARRAY[] AS TEXT[]));

-- users for many items
SELECT * FROM embsql.recommend_users_batch('compass', ARRAY['northeast', 'atlantis', 'northeast', NULL], k => 2);
--= northeast | cyd | 1 | 7.0
--= northeast | bob | 2 | 2.0

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

-- a run that does not say how it folds in takes the mean by weight
SELECT embsql.inner_product(embsql.fold_in('compass', ARRAY['west', 'north'], ARRAY[1.0, 3.0]), embsql.fold_in('compass', ARRAY['east', 'north'])) AS product;
--= 0.125

-- unknown items are left out, duplicates add up
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.fold_in('compass', ARRAY['east', 'atlantis', 'north', 'east', NULL]), k => 1);
--= northeast | 1.0

-- nothing known, nothing to fold in
SELECT embsql.fold_in('compass', ARRAY['atlantis']) IS NULL AS a, embsql.fold_in('compass', NULL) IS NULL AS b, embsql.fold_in('compass', ARRAY['east', 'north'], ARRAY[0.0, 0.0]) IS NULL AS c;
--= True | True | True

-- for a basket: the given items are left out, ties by id
SELECT * FROM embsql.recommend_from('compass', ARRAY['east', 'north'], ARRAY[3.0, 1.0], k => 2);
--= northeast | 1 | 1.0 | fold_in
--= it's "odd" 🙂 | 2 | 0.4375 | fold_in

-- with the given items
SELECT item_id, score FROM embsql.recommend_from('compass', ARRAY['east', NULL], k => 2, exclude_seen => FALSE);
--= east | 1.0
--= northeast | 1.0

-- of a basket nobody knows, what is popular
SELECT * FROM embsql.recommend_from('compass', ARRAY['atlantis'], k => 2);
--= east | 1 | 3.0 | popular
--= north | 2 | 2.0 | popular

-- under cosine a basket without a direction is one nobody knows
SELECT item_id, source FROM embsql.recommend_from('angles', ARRAY['nowhere'], k => 1);
--= east | popular

-- no basket at all
SELECT item_id, source FROM embsql.recommend_from('angles', NULL, k => 1);
--= east | popular

-- none of none
SELECT * FROM embsql.recommend_from('compass', ARRAY['east'], k => 0);

-- after a session its own items too, and how many of its events no run knows; NULL is no event
SELECT * FROM embsql.next_items('compass', ARRAY['east', 'atlantis', NULL, 'atlantis'], k => 2);
--= east | 1 | 1.0 | fold_in | 2
--= northeast | 2 | 1.0 | fold_in | 2

-- nothing of it is known
SELECT * FROM embsql.next_items('compass', ARRAY['atlantis'], k => 1);
--= east | 1 | 3.0 | popular | 1

-- no session at all
SELECT * FROM embsql.next_items('angles', NULL, k => 1);
--= east | 1 | 3.0 | popular | 0

-- of whom nothing is known there is nothing that has a time
SELECT * FROM embsql.recommend_as_of('compass', 'nobody', TIMESTAMP '2026-01-01', k => 1);
--= east | 1 | 3.0 | popular

-- why two items are alike: ada met both, as chance would have it
SELECT * FROM embsql.explain_similarity('compass', 'east', 'north');
--= 1 | 2 | 2 | 1.0 | 0.0

-- nobody met one of them
SELECT shared_users, users_b, lift FROM embsql.explain_similarity('compass', 'east', 'nowhere');
--= 0 | 0 | NULL

-- no such item
SELECT * FROM embsql.explain_similarity('compass', 'east', 'atlantis');

-- no such user, nothing to explain
SELECT * FROM embsql.explain('compass', 'zoe', 'east');
