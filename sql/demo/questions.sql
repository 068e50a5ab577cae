-- models: What is there?
SELECT model_name, live_run, algorithm, dim, users, items, headline_metric FROM embsql.models()

-- evaluation: How good is it, compared with recommending what is popular and with item-kNN?
SELECT metric, k, value, ci_low, ci_high, popular_value, itemknn_value
FROM embsql.evaluation('demo')
WHERE segment = 'all' AND k = 10 AND metric IN ('recall', 'ndcg', 'hit_rate', 'coverage')

-- history: Who is this customer? (what they bought last)
SELECT item_id, weight FROM embsql.interactions
WHERE run_id = embsql.live_run('demo') AND user_id = 'USER'
ORDER BY last_time DESC, weight DESC, item_id ASC LIMIT 5

-- recommend: What should we show them?
SELECT * FROM embsql.recommend('demo', 'USER', k => 5)

-- explain: Why the first of these?
SELECT * FROM embsql.explain('demo', 'USER', (SELECT item_id FROM embsql.recommend('demo', 'USER', k => 1))) LIMIT 5

-- similar_items: What is like this item?
SELECT * FROM embsql.similar_items('demo', 'ITEM', k => 5)

-- similar_users: Who is like this customer?
SELECT * FROM embsql.similar_users('demo', 'USER', k => 5)

-- recommend_users: Whom should we tell about this item?
SELECT * FROM embsql.recommend_users('demo', 'ITEM', k => 5)

-- rank_items: In which order would this customer like what is on the shelf?
SELECT * FROM embsql.rank_items('demo', 'USER', (SELECT array_agg(item_id) FROM embsql.similar_items('demo', 'ITEM', k => 5)))

-- newcomer: And somebody we have never seen?
SELECT * FROM embsql.recommend('demo', 'a stranger', k => 3)
