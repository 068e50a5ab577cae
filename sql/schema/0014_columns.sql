-- What a source calls the columns that embsql calls user_id, item_id, weight and event_time; NULL where it does, too.
ALTER TABLE embsql.runs ADD COLUMN user_col VARCHAR;
ALTER TABLE embsql.runs ADD COLUMN item_col VARCHAR;
ALTER TABLE embsql.runs ADD COLUMN weight_col VARCHAR;
ALTER TABLE embsql.runs ADD COLUMN time_col VARCHAR;
