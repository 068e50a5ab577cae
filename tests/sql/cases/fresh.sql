-- nothing is watched: figures are 0
SELECT run_id, newest_event, events, users, new_users, items, new_items, user_share, shift, staleness, refused_events FROM embsql.freshness('compass');
--= 1 | NULL | 0 | 0 | 0 | 0 | 0 | 0.0 | 0.0 | 0.0 | 0

-- and nothing says how far the run's events go
SELECT trained_until FROM embsql.freshness('compass@1');
--= NULL
