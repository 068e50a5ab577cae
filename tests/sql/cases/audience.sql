-- the center of east and northeast lies between them; a seed is left out, and who has no direction
SELECT * FROM embsql.lookalikes('compass', seeds => ARRAY['ada', 'cyd']);
--= bob | 1 | 0.3826834

-- with the seeds, who lie equally near the center
SELECT user_id, score FROM embsql.lookalikes('compass', seeds => ARRAY['ada', 'cyd'], k => 2, exclude_seeds => FALSE) ORDER BY user_id;
--= ada | 0.9238795
--= cyd | 0.9238795

-- unknown seeds, seeds without a direction and seeds named twice change nothing
SELECT * FROM embsql.lookalikes('angles', seeds => ARRAY['ada', 'zoe', 'nil', 'ada', NULL], k => 99);
--= cyd | 1 | 0.7071068
--= bob | 2 | 0.0

-- no known seed
SELECT * FROM embsql.lookalikes('compass', seeds => ARRAY['zoe', 'nil']);

-- nobody is asked for
SELECT * FROM embsql.lookalikes('compass', seeds => ARRAY['ada'], k => 0);

-- one half finds the other in the top 10 of few, as chance does
SELECT * FROM embsql.lookalike_quality('compass', seeds => ARRAY['ada', 'cyd', 'zoe']);
--= 10 | 1.0 | 1.0
--= 100 | 1.0 | 1.0
--= 1000 | 1.0 | 1.0

-- one known seed has no other half
SELECT * FROM embsql.lookalike_quality('compass', seeds => ARRAY['ada', 'zoe']);

-- the same vectors have not moved, and zero vectors are left out
SELECT entity, count(*), max(shift) < 1e-5, min(neighbor_overlap) FROM embsql.drift('compass', 'angles') GROUP BY entity ORDER BY entity;
--= item | 5 | True | 1.0
--= user | 3 | True | 1.0
