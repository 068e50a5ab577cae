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

-- what was tried: of equal trials the first is best, a failed one never
SELECT trial, params, metric, value, seconds, status, best, error FROM embsql.trials('compass');
--= 1 | {"dim": 1} | ndcg@10 | 0.25 | 0.5 | done | False | NULL
--= 2 | {"dim": 2} | ndcg@10 | 0.5 | 1.0 | done | True | NULL
--= 3 | {"dim": 9} | ndcg@10 | NULL | 0.0 | failed | False | too many
--= 4 | {"dim": 4} | ndcg@10 | 0.5 | 2.0 | done | False | NULL

-- what only candidates of algorithm auto have
SELECT trial, algorithm, ci_low, ci_high, reason FROM embsql.trials('compass') WHERE trial = 1;
--= 1 | NULL | NULL | NULL | NULL

-- trials of a run that is named
SELECT count(*) AS n FROM embsql.trials('compass@1');
--= 4

-- no trials without a search
SELECT * FROM embsql.trials('angles');

-- nothing judged without an evaluation
SELECT * FROM embsql.gate('angles');

-- what the gate compared
SELECT run_id, verdict, split, metric, k, value, popular_value, compared_run, basis, users, left_out, new_value, live_value, difference, ci_low, ci_high, tolerance, reason FROM embsql.gate('compass');
--= 1 | refused | last | ndcg | 10 | 0.25 | 0.125 | 7 | vectors | 400 | 3 | 0.25 | 0.5 | -0.25 | -0.5 | -0.125 | 0.05 | worse

-- the gate of a run that is named
SELECT run_id, verdict FROM embsql.gate('compass@1');
--= 1 | refused

-- a run that the gate has not judged
SELECT * FROM embsql.gate('angles@2');

-- what there is to mend
SELECT severity, finding, remedy FROM embsql.doctor() WHERE subject = 'compass';

-- what each run takes
SELECT model_name, run_id, part, rows FROM embsql.storage() WHERE model_name = 'compass' AND part = 'vectors';
--= compass | 1 | vectors | 10

-- none takes nothing
SELECT count(*) AS n FROM embsql.storage() WHERE rows < 1 OR bytes IS NULL OR bytes < 0;
--= 0

-- help of one question
SELECT question, arguments, columns, example FROM embsql.help('similar_items');
--= similar_items | model text, for_item text, k int = 10 | item_id text, rank int, score double | SELECT * FROM embsql.similar_items('demo', 'mug-03', k => 3);

-- and of all, which the view has too
SELECT count(*) > 40 AND count(*) = (SELECT count(*) FROM embsql.questions) AS whole FROM embsql.help() AS one JOIN embsql.questions AS same ON same.name = one.question AND same.example = one.example;
--= True

-- what nobody measured is to be, and of six items a list of ten has all
SELECT reason, split, metric, value, compared_to, threshold, command, sql_command FROM embsql.advice('compass');
--= not_evaluated | NULL | NULL | NULL | NULL | NULL | embsql evaluate compass@1 | SELECT * FROM embsql.evaluate('compass@1');
--= few_items | NULL | items | 6.0 | bound | 20.0 | NULL | NULL
