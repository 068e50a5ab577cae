-- one item of six is a zero vector, which is too many; ada alone of the users has none
SELECT entity, "check", value, threshold, ok FROM embsql.embedding_health('compass') WHERE "check" IN ('zero_vectors', 'not_finite');
--= item | zero_vectors | 0.1666667 | 0.01 | False
--= item | not_finite | 0.0 | 0.0 | True
--= user | zero_vectors | 0.25 | 0.01 | False
--= user | not_finite | 0.0 | 0.0 | True

-- every item that ada, bob, cyd and nil have not seen is in their ten best: 4 + 5 + 4 + 5 places
SELECT "check", value, ok FROM embsql.embedding_health('compass') WHERE "check" IN ('coverage_at_10', 'gini_at_10');
--= coverage_at_10 | 1.0 | True
--= gini_at_10 | 0.1481481 | True

-- of five items with a direction everyone is in everyone's list
SELECT entity, value, threshold, ok FROM embsql.embedding_health('compass') WHERE "check" = 'hubness';
--= item | 1.0 | 1.0 | True
--= user | 1.0 | 1.0 | True

-- which checks there are
SELECT entity, "check" FROM embsql.embedding_health('angles');
--= item | zero_vectors
--= item | not_finite
--= item | participation_ratio
--= item | norm_popularity
--= item | hubness
--= item | coverage_at_10
--= item | gini_at_10
--= user | zero_vectors
--= user | not_finite
--= user | participation_ratio
--= user | norm_popularity
--= user | hubness

-- the nearest to east and northeast share their label, west's nearest is none of it; no direction, no part
SELECT * FROM embsql.coherence('compass', ids => ARRAY['east', 'northeast', 'north', 'west', 'nowhere', 'atlantis', NULL], labels => ARRAY['right', 'right', 'up', 'left', 'left', 'left', 'left'], k => 1);
--= left | 1 | 0.0 | 0.0 | NULL
--= right | 2 | 1.0 | 0.3333333 | 3.0
--= up | 1 | 0.0 | 0.0 | NULL

-- what has no label is left out
SELECT label, items FROM embsql.coherence('compass', ids => ARRAY['east', 'northeast', 'north'], labels => ARRAY['right', 'right', NULL]);
--= right | 2

-- no lists
SELECT * FROM embsql.coherence('compass', ids => NULL, labels => NULL);
