-- What the preparing script made, gone: it would otherwise stay in memory while training.
DROP VIEW IF EXISTS temp.embsql_kept;
DROP TABLE IF EXISTS temp.embsql_users;
DROP TABLE IF EXISTS temp.embsql_items;
DROP TABLE IF EXISTS temp.embsql_source;
