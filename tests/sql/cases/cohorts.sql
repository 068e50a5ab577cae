-- red is ada and cyd, named twice or not; zoe has no vector, nil no direction
SELECT cohort, users, spread, coverage FROM embsql.cohort_profiles('compass', 'team');
--= blue | 1 | 0.0 | 0.5
--= grey | 0 | NULL | 0.0
--= red | 2 | 0.0761205 | 1.0

-- the centroid is the mean of vectors of length 1
SELECT (CAST(centroid AS REAL[]))[1] AS x, (CAST(centroid AS REAL[]))[2] AS y FROM embsql.cohort_profiles('compass', 'team') WHERE cohort = 'red';
--= 0.8535534 | 0.3535534

-- a set nobody filled
SELECT * FROM embsql.cohort_profiles('compass', 'country');

-- every pair once; a cohort without a vector has no likeness
SELECT * FROM embsql.cohort_similarity('compass', 'team');
--= blue | red | 0.3826834

-- of four users two met east, both in red: twice as often; 2 * 4 ln 2. Half of all met north, as half of red did
SELECT * FROM embsql.cohort_items('compass', 'team');
--= blue | north | 1 | 1.7260924 | 2.0
--= grey | northeast | 1 | 4.4986812 | 4.0
--= red | east | 1 | 5.5451774 | 2.0
--= red | west | 2 | 1.7260924 | 2.0

-- the surest only
SELECT cohort, item_id FROM embsql.cohort_items('compass', 'team', k => 1) WHERE cohort = 'red';
--= red | east

-- none
SELECT * FROM embsql.cohort_items('compass', 'team', k => 0);

-- nobody moved; two users are not enough to say so
SELECT cohort, users, drift < 1e-5, neighbor_overlap, enough_data FROM embsql.cohort_drift('compass', 'angles', 'team');
--= blue | 1 | True | 1.0 | False
--= red | 2 | True | 1.0 | False
