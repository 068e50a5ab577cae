-- Who did what, as the functions that write it say (embsql.asker): never what a caller says of himself.
ALTER TABLE embsql.leases ADD COLUMN held_by text NOT NULL DEFAULT session_user; -- who is logged in where it trains
ALTER TABLE embsql.runs ADD COLUMN made_by text;     -- who asked for it; NULL: before this was written down
ALTER TABLE embsql.events ADD COLUMN done_by text;
