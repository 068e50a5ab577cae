-- advice(model text)
--   -> (reason text, advice text, split text, metric text, value double, compared_to text, threshold double, command text, sql_command text)
-- What the figures of a run call for, the gravest first: a sentence with the figure behind it, and where a command helps
-- what to type in a shell, and in SQL where there are commands (Python, a server). Read from what was stored of the run,
-- so that what was never measured is advised to be.
-- reason is not_live (its gate refused it, or nothing of the model is live); not_evaluated, no_users; nothing_found (figure
-- and baselines are 0); below_popular, below_itemknn (all of the 95% interval is), not_above_popular, not_above_itemknn (the
-- interval holds the baseline's figure, so the test cannot decide); few_users_asked (under 100), wide_interval (half of it is
-- over a fifth of the figure); unknown_users (over a fifth of those asked had no training pair); tied_times (of over half the
-- last pair was drawn); tail_not_found (recall of items:tail under a tenth of that of all), low_coverage (lists hold under
-- a tenth of the items they could); source (a warning of embsql.validation); no_times; one_item_users (over half of them);
-- repeated_pairs (over 0.3 of rows); few_items (at most 20); new_events (over a tenth of those trained on, of what
-- embsql.watch named, where the caller may read it). Figures are those at the shortest k of each split. A run that calls for
-- none has one row: nothing.
-- example: SELECT reason, advice, metric, value, threshold FROM embsql.advice('shop@1');
WITH asked AS (
  SELECT
    run.run_id, run.model_name, run.status, run.algorithm, run.interactions, run.newest_event, run.error,
    coalesce(run.users, 0) AS users, coalesce(run.items, 0) AS items, model.live_run AS live,
    run.model_name || '@' || CAST(run.run_id AS VARCHAR) AS reference,
    embsql_internal.new_pairs((SELECT embsql.live_run(:model))) AS new_pairs
  FROM given
  JOIN embsql.runs AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN embsql.models AS model ON model.model_name = run.model_name
),
figures AS (
  SELECT
    figure.split, figure.segment, figure.metric, figure.k, figure.value, figure.ci_low, figure.ci_high, figure.popular_value,
    figure.itemknn_value
  FROM asked
  JOIN embsql.metrics AS figure ON figure.run_id = asked.run_id
),
shortest AS (
  SELECT f.split, min(f.k) AS k FROM figures AS f WHERE f.segment = 'all' AND f.metric = 'ndcg' GROUP BY f.split
),
counted AS (
  SELECT
    f.split,
    max(CASE WHEN f.metric IN ('users', 'sessions') THEN f.value END) AS users,
    max(CASE WHEN f.metric IN ('users', 'events') THEN f.value END) AS lists,
    max(CASE WHEN f.metric = 'users without training pairs' THEN f.value END) AS unknown,
    max(CASE WHEN f.metric = 'tied users' THEN f.value END) AS tied
  FROM figures AS f
  WHERE f.segment = 'asked'
  GROUP BY f.split
),
measured AS (
  SELECT
    main.split, main.k, main.value, main.popular_value, main.itemknn_value, main.ci_low, main.ci_high,
    overall.value AS recall, tail.value AS tail_recall, shown.value AS coverage,
    least(1.0, counted.lists * main.k / nullif(asked.items, 0)) AS possible,
    counted.users, counted.unknown, counted.tied,
    'ndcg@' || CAST(main.k AS VARCHAR) AS metric,
    ' (split ' || main.split || ')' AS of_split,
    'ndcg@' || CAST(main.k AS VARCHAR) || ' of ' || embsql_internal.four_decimals(main.value) || ' (split ' || main.split
      || coalesce(', 95% interval ' || embsql_internal.four_decimals(main.ci_low) || ' to ' || embsql_internal.four_decimals(main.ci_high), '')
      || ')' AS named,
    CASE asked.algorithm
      WHEN 'registered' THEN 'train als on the interactions.'
      ELSE 'compare several by algorithm auto, or more of them by a larger budget.'
    END AS remedy,
    CASE asked.algorithm WHEN 'registered' THEN 'als' ELSE 'auto' END AS choice
  FROM asked
  CROSS JOIN shortest
  JOIN figures AS main ON main.split = shortest.split AND main.k = shortest.k AND main.segment = 'all' AND main.metric = 'ndcg'
  LEFT JOIN figures AS overall
    ON overall.split = shortest.split AND overall.k = shortest.k AND overall.segment = 'all' AND overall.metric = 'recall'
  LEFT JOIN figures AS tail
    ON tail.split = shortest.split AND tail.k = shortest.k AND tail.segment = 'items:tail' AND tail.metric = 'recall'
  LEFT JOIN figures AS shown
    ON shown.split = shortest.split AND shown.k = shortest.k AND shown.segment = 'all' AND shown.metric = 'coverage'
  LEFT JOIN counted ON counted.split = shortest.split
  WHERE main.value IS NOT NULL
),
rivals AS (
  SELECT 'popular' AS rival, 'what is popular' AS words, m.split, m.metric, m.value, m.ci_low, m.ci_high, m.popular_value AS bound, m.named, m.remedy, m.choice
  FROM measured AS m
  UNION ALL
  SELECT 'itemknn' AS rival, 'item-kNN' AS words, m.split, m.metric, m.value, m.ci_low, m.ci_high, m.itemknn_value AS bound, m.named, m.remedy, m.choice
  FROM measured AS m
),
noted AS (
  SELECT finding.check_name, finding.severity, finding.affected, finding.hint
  FROM asked
  JOIN embsql.source_checks AS finding ON finding.run_id = asked.run_id
),
lonely AS (SELECT max(n.affected) AS users FROM noted AS n WHERE n.check_name = 'users with one item'),
found AS (
  SELECT
    1 AS importance, 'not_live' AS reason,
    'Run ' || CAST(a.run_id AS VARCHAR) || ' is not live' || coalesce(': ' || a.error, '')
      || CASE WHEN right(a.error, 1) = '.' THEN '' ELSE '.' END || ' Make it live if you trust it.' AS advice,
    CAST(NULL AS VARCHAR) AS split, CAST(NULL AS VARCHAR) AS metric, CAST(NULL AS FLOAT8) AS value,
    CAST(NULL AS VARCHAR) AS compared_to, CAST(NULL AS FLOAT8) AS threshold,
    'embsql promote ' || a.reference AS command, 'promote(''' || a.reference || ''')' AS called
  FROM asked AS a
  WHERE a.live IS NULL OR a.status = 'ready'
  UNION ALL
  SELECT
    2, CASE WHEN a.users > 0 THEN 'not_evaluated' ELSE 'no_users' END,
    CASE
      WHEN a.users = 0
      THEN 'The run has no users, so nobody can be asked what they would have liked: embsql.coherence and '
        || 'embsql.embedding_health show what its vectors are worth.'
      WHEN a.algorithm = 'registered'
      THEN 'Nobody measured how good this run is. Its vectors were not trained here, so nothing can be held out: give '
        || 'embsql evaluate a --test of yours, a table of user_id and item_id.'
      WHEN lonely.users >= a.users
      THEN 'Nobody measured how good this run is, and as every user has one item nothing can be held out: give embsql '
        || 'evaluate a --test of yours, or train on more of what users did, for example views.'
      ELSE 'Nobody measured how good this run is. Measure it.'
    END,
    NULL, NULL, NULL, NULL, NULL,
    CASE WHEN a.users > 0 AND a.algorithm <> 'registered' AND coalesce(lonely.users, 0) < a.users THEN 'embsql evaluate ' || a.reference END,
    CASE WHEN a.users > 0 AND a.algorithm <> 'registered' AND coalesce(lonely.users, 0) < a.users THEN 'evaluate(''' || a.reference || ''')' END
  FROM asked AS a
  CROSS JOIN lonely
  WHERE NOT EXISTS (SELECT 1 FROM figures AS f)
  UNION ALL
  SELECT
    3, 'nothing_found',
    m.named || ': no list holds what was held out, and none of the baselines. Perhaps no list can: what a user has is left '
      || 'out of it, and so are items without training pairs.',
    m.split, m.metric, m.value, 'bound', 0, NULL, NULL
  FROM measured AS m
  WHERE m.value = 0 AND coalesce(m.popular_value, 0) = 0 AND coalesce(m.itemknn_value, 0) = 0
  UNION ALL
  SELECT
    CASE r.rival WHEN 'popular' THEN 4 ELSE 5 END, 'below_' || r.rival,
    r.named || ' is below that of ' || r.words || ', ' || embsql_internal.four_decimals(r.bound) || ': ' || r.remedy,
    r.split, r.metric, r.value, r.rival, r.bound, 'embsql algorithms ' || r.choice, NULL
  FROM rivals AS r
  WHERE coalesce(r.ci_high, r.value) < r.bound
  UNION ALL
  SELECT
    CASE r.rival WHEN 'popular' THEN 6 ELSE 7 END, 'not_above_' || r.rival,
    r.named || ' is not shown to be above that of ' || r.words || ', ' || embsql_internal.four_decimals(r.bound)
      || ', which lies in the interval: ask more users, or ' || r.remedy,
    r.split, r.metric, r.value, r.rival, r.bound, 'embsql algorithms ' || r.choice, NULL
  FROM rivals AS r
  WHERE r.bound > 0 AND r.bound BETWEEN r.ci_low AND r.ci_high
  UNION ALL
  SELECT
    8, 'few_users_asked',
    CAST(CAST(m.users AS BIGINT) AS VARCHAR) || ' users were asked' || m.of_split || ', so few that figures change with whom '
      || 'one asks. Train on more users, or give embsql evaluate a --test that asks more of them.',
    m.split, 'users', m.users, 'bound', 100, NULL, NULL
  FROM measured AS m
  WHERE m.users < 100
  UNION ALL
  SELECT
    9, 'wide_interval',
    m.named || ' is not well known: half of its interval is over a fifth of it. Four times as many users make it half as '
      || 'wide; until then only large differences between runs count.',
    m.split, 'half the interval of ' || m.metric, (m.ci_high - m.ci_low) / 2, 'a fifth of the figure', 0.2 * m.value, NULL, NULL
  FROM measured AS m
  WHERE m.users >= 100 AND (m.ci_high - m.ci_low) / 2 > 0.2 * m.value
  UNION ALL
  SELECT
    10, 'unknown_users',
    'Of ' || CAST(CAST(m.users AS BIGINT) AS VARCHAR) || ' users asked' || m.of_split || ', '
      || CAST(CAST(m.unknown AS BIGINT) AS VARCHAR) || ' had no training pair, and count as 0. For users who are new, '
      || 'two_tower with user_features answers embsql.recommend_new.',
    m.split, 'users without training pairs', m.unknown, 'a fifth of the users', 0.2 * m.users, NULL, NULL
  FROM measured AS m
  WHERE m.unknown > 0.2 * m.users
  UNION ALL
  SELECT
    11, 'tied_times',
    'Of ' || CAST(CAST(m.users AS BIGINT) AS VARCHAR) || ' users asked' || m.of_split || ', '
      || CAST(CAST(m.tied AS BIGINT) AS VARCHAR) || ' had several last pairs of one time, of which one was drawn. Give an '
      || 'event_time that puts them in order, with the time of day, or measure with split random.',
    m.split, 'tied users', m.tied, 'half of the users', 0.5 * m.users, 'embsql evaluate ' || a.reference || ' --split random',
    'evaluate(''' || a.reference || ''', options => ''{"split": "random"}'')'
  FROM asked AS a
  CROSS JOIN measured AS m
  WHERE m.tied > 0.5 * m.users AND NOT EXISTS (SELECT 1 FROM shortest AS s WHERE s.split = 'random')
  UNION ALL
  SELECT
    12, 'tail_not_found',
    'Recall of tail items is ' || embsql_internal.four_decimals(m.tail_recall) || ', of all items '
      || embsql_internal.four_decimals(m.recall) || m.of_split || ': items with few interactions are hardly found. '
      || CASE WHEN a.algorithm IN ('content', 'fusion', 'half_als', 'item2vec', 'neural_content', 'two_tower')
        THEN 'Give item_features in which they differ more.'
        ELSE 'Try fusion, half_als or content with item_features.' END,
    m.split, 'recall@' || CAST(m.k AS VARCHAR), m.tail_recall, 'a tenth of all items', 0.1 * m.recall, 'embsql algorithms', NULL
  FROM asked AS a
  CROSS JOIN measured AS m
  WHERE m.tail_recall < 0.1 * m.recall
  UNION ALL
  SELECT
    13, 'low_coverage',
    'Lists of ' || CAST(m.k AS VARCHAR) || ' hold ' || embsql_internal.four_decimals(m.coverage) || ' of the items'
      || m.of_split || ', and could hold ' || embsql_internal.four_decimals(m.possible) || ': everyone is shown the same few. '
      || 'Try a larger dim; average_popularity shows whether these are but the most popular.',
    m.split, 'coverage@' || CAST(m.k AS VARCHAR), m.coverage, 'a tenth of the possible', 0.1 * m.possible, NULL, NULL
  FROM measured AS m
  WHERE m.coverage > 0 AND m.coverage < 0.1 * m.possible
  UNION ALL
  SELECT
    14, 'source', CASE
      WHEN n.check_name = 'algorithm chosen' THEN 'The choice: ' || n.hint
      ELSE 'The source: ' || n.check_name || ' (' || CAST(n.affected AS VARCHAR) || '). ' || n.hint
    END || CASE WHEN right(n.hint, 1) IN ('.', '?') THEN '' ELSE '.' END,
    NULL, n.check_name, n.affected, 'bound', 0, NULL, NULL
  FROM noted AS n
  WHERE n.severity IN ('error', 'warning') AND n.hint IS NOT NULL
  UNION ALL
  SELECT
    15, 'no_times',
    'The source gives no times, so nothing can be held out by time, new events are not known as such, and gru4rec, sasrec '
      || 'and bert4rec have no order to learn: select an event_time.',
    NULL, 'events with a time', 0, 'bound', 1, NULL, NULL
  FROM asked AS a
  WHERE a.newest_event IS NULL AND a.interactions > 0 AND a.algorithm <> 'registered'
    AND NOT EXISTS (SELECT 1 FROM figures AS f WHERE f.split IN ('last', 'time', 'time+repeats', 'next'))
  UNION ALL
  SELECT
    16, 'one_item_users',
    'Of ' || CAST(a.users AS VARCHAR) || ' users ' || CAST(lonely.users AS VARCHAR) || ' have one item. No evaluation can '
      || 'ask them, and their vectors know no more than it: embsql.similar_items serves them as well, and embsql.recommend_from '
      || 'what they do next. Weaker signs, such as views, would make histories longer.',
    NULL, 'users with one item', lonely.users, 'half of the users', 0.5 * a.users, NULL, NULL
  FROM asked AS a
  CROSS JOIN lonely
  WHERE a.users > 0 AND lonely.users > 0.5 * a.users
  UNION ALL
  SELECT
    17, 'repeated_pairs',
    'Of ' || CAST(r.affected AS VARCHAR) || ' rows ' || CAST(n.affected AS VARCHAR) || ' repeat a user and an item. Where people '
      || 'come back for the same things, ask embsql.recommend with exclude_seen => FALSE, and measure with split time and repeats.',
    NULL, 'repeated pairs', n.affected, '0.3 of the rows', 0.3 * r.affected, NULL, NULL
  FROM noted AS n
  JOIN noted AS r ON r.check_name = 'rows'
  WHERE n.check_name = 'repeated pairs' AND n.affected > 0.3 * r.affected
  UNION ALL
  SELECT
    18, 'few_items',
    'There are ' || CAST(a.items AS VARCHAR) || ' items, so lists of ten hold most of what there is, and figures for them '
      || 'mean little: evaluate with a smaller k, or add what else could be shown.',
    NULL, 'items', a.items, 'bound', 20, NULL, NULL
  FROM asked AS a
  WHERE a.items <= 20 AND a.users > 0
  UNION ALL
  SELECT
    19, 'new_events',
    CAST(a.new_pairs AS VARCHAR) || ' pairs are newer than this run, which was trained on ' || CAST(a.interactions AS VARCHAR)
      || ': train it again, or fold the new ones in.',
    NULL, 'new events', a.new_pairs, 'a tenth of the interactions', 0.1 * a.interactions, 'embsql refresh ' || a.model_name,
    'refresh(''' || a.model_name || ''')'
  FROM asked AS a
  WHERE a.live = a.run_id AND a.new_pairs > 0.1 * a.interactions
)
SELECT
  coalesce(one.reason, 'nothing') AS reason,
  coalesce(one.advice, 'Nothing in the figures of this run calls for a change.') AS advice,
  one.split AS split,
  one.metric AS metric,
  CAST(one.value AS FLOAT8) AS value,
  one.compared_to AS compared_to,
  CAST(one.threshold AS FLOAT8) AS threshold,
  one.command AS command,
  'SELECT * FROM embsql.' || one.called || ';' AS sql_command
FROM asked
LEFT JOIN found AS one ON one.reason IS NOT NULL
ORDER BY one.importance ASC, one.split ASC, one.metric ASC
