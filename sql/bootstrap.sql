-- What must be there before anything can be asked about what is there.
CREATE SCHEMA IF NOT EXISTS embsql;
CREATE TABLE IF NOT EXISTS embsql.migrations (file_name VARCHAR PRIMARY KEY, checksum VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS embsql.surface (surface VARCHAR NOT NULL);
