-- What only a file has.

COMMENT ON TABLE embsql.file IS 'Internal: what the questions know this file by.';
COMMENT ON COLUMN embsql.file.file_id IS 'a random name';
