-- Which process a trainer is, so that another one of its machine can tell that it has ended; NULL where nobody can.
ALTER TABLE embsql.leases ADD COLUMN process VARCHAR;
