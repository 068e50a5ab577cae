-- What must be there before anything can be asked about what is there.
CREATE SCHEMA IF NOT EXISTS embsql;
CREATE SCHEMA IF NOT EXISTS embsql_internal; -- what questions and commands call; out of the analyst's sight
CREATE TABLE IF NOT EXISTS embsql.migrations (file_name VARCHAR PRIMARY KEY, checksum VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS embsql.surface (surface VARCHAR NOT NULL);
-- Which file this is: one row, whose id every question knows of the file it was made in.
CREATE TABLE IF NOT EXISTS embsql.file (file_id VARCHAR NOT NULL);
DELETE FROM embsql.file;
INSERT INTO embsql.file (file_id) VALUES ('@file_id@');
