-- Functions that take other arguments from here on: CREATE OR REPLACE would leave the earlier ones standing.
DROP FUNCTION IF EXISTS embsql.forget_words(text, text, text);
DROP FUNCTION IF EXISTS embsql.set_cohorts(text, text[], text[]);
DROP FUNCTION IF EXISTS embsql.leave_job(text, text, text[], jsonb);
DROP FUNCTION IF EXISTS embsql.leave_training(text, text, text[], jsonb);
DROP FUNCTION IF EXISTS embsql.fingerprint(text, text[]);
