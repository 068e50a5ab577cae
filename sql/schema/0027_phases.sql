-- Which phase of its training a run came to, and the seconds that each has taken, as runs() shows them.
ALTER TABLE embsql.runs ADD COLUMN phase VARCHAR;
ALTER TABLE embsql.runs ADD COLUMN phase_seconds VARCHAR;
