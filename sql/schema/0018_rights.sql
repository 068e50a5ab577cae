-- Who asked for a run, where a database knows it: a file knows nobody.
ALTER TABLE embsql.runs ADD COLUMN made_by VARCHAR;
