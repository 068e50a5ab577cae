-- every model
SELECT model_name, live_run, runs, algorithm, dim, users, items FROM embsql.models();
--= angles | 2 | 1 | als | 2 | 4 | 6
--= compass | 1 | 1 | als | 2 | 4 | 6

-- its runs
SELECT run_id, status, algorithm, params, metrics FROM embsql.runs('compass');
--= 1 | live | als | {} | NULL

-- no figures without an evaluation
SELECT * FROM embsql.evaluation('compass');

-- nothing to compare
SELECT * FROM embsql.compare('compass', 'angles');

-- no log
SELECT * FROM embsql.training_log('compass');

-- no report
SELECT * FROM embsql.validation('compass');
