-- a category, a number in standard deviations, two tags: (1, 0) + 1 (0, 0.5) + (2, 2) / sqrt(2)
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_user('compass', '{"land": "DE", "age": 40, "likes": ["a", "b"]}'), k => 9) WHERE item_id IN ('east', 'north');
--= east | 2.4142135624
--= north | 1.9142135624

-- what is missing, NULL or unknown has its place: (0.5, 0.5) + (0, -1), a tag nobody knows beside one that is known
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_user('compass', '{"land": "Atlantis", "age": null, "likes": ["b", "zz", null]}'), k => 9) WHERE item_id IN ('east', 'north');
--= north | 1.5
--= east | 0.5

-- nothing known at all
SELECT embsql.inner_product(embsql.embed_user('compass', NULL), embsql.embed_user('compass', '{}')) AS product;
--= 0.5

-- numbers as text, and no further than four standard deviations; a date; a tag by itself; a tag twice counts once
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_user('compass', '{"land": "FR", "age": "3000", "joined": "2024-01-03", "likes": ["a", "a"]}'), k => 9) WHERE item_id IN ('east', 'north');
--= north | 4.0
--= east | 3.0

-- the moment of a time, in days
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_user('compass', '{"land": "DE", "age": 30, "joined": "2024-01-02 12:00:00", "likes": "b"}'), k => 9) WHERE item_id IN ('east', 'north');
--= north | 2.75
--= east | 1.75

-- prose is its words, and a layer sees the positive part of what is under it: (2, 0, 0.25) / 1 -> (3, -1)
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_item('compass', '{"title": "BIG, bigger!"}'), k => 9) WHERE item_id IN ('east', 'north');
--= east | 3.0
--= north | -1.0

-- two words weigh together what one does: ((2, -4) / sqrt(2), 0.25) -> (1 + sqrt(2), -1)
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_item('compass', '{"title": "Red-big"}'), k => 9) WHERE item_id IN ('east', 'north');
--= east | 2.4142135624
--= north | -1.0

-- an unknown word: (0, 0, -0.75) -> (0.5, 0)
SELECT item_id, score FROM embsql.nearest_items('compass', embsql.embed_item('compass', '{"title": "green"}'), k => 9) WHERE item_id IN ('east', 'north');
--= east | 0.5
--= north | 0.0

-- for somebody new: (1, 0) + (0, 0.5) + (0, 0); biases of items count
SELECT * FROM embsql.recommend_new('compass', '{"land": "DE", "age": 40}', k => 3);
--= northeast | 1 | 1.5 | features
--= east | 2 | 1.0 | features
--= it's "odd" 🙂 | 3 | 0.625 | features

-- about whom nothing is known
SELECT * FROM embsql.recommend_new('compass', '{}', k => 2);
--= east | 1 | 3.0 | popular
--= north | 2 | 2.0 | popular

-- nor anything that the model has heard of
SELECT item_id, source FROM embsql.recommend_new('compass', '{"land": "Atlantis", "age": null}', k => 1);
--= east | popular

-- less than one is nobody
SELECT * FROM embsql.recommend_new('compass', '{"land": "DE"}', k => 0);

-- a column of newcomers at once, each by what is known of them
SELECT newcomer.n, embsql.inner_product(embsql.embed_user('compass', newcomer.features), embsql.embed_user('compass', newcomer.features)) AS product
FROM (VALUES (1, '{"land": "DE", "age": 30}'), (2, '{"land": "FR", "age": 30}'), (3, '{"age": 30}'), (4, NULL)) AS newcomer (n, features)
ORDER BY newcomer.n;
--= 1 | 1.0
--= 2 | 1.0
--= 3 | 0.5
--= 4 | 0.5
