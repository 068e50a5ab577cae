-- Whose a model is: who made it, or the role that it was given to. NULL: nobody's but the admins'.
ALTER TABLE embsql.models ADD COLUMN owned_by text;
UPDATE embsql.models AS m SET owned_by = (
    SELECT r.made_by FROM embsql.runs AS r WHERE r.model_name = m.model_name ORDER BY r.run_id DESC LIMIT 1
);

-- Who made a set of cohorts, as embsql.set_cohorts says. NULL: nobody's but the admins'.
ALTER TABLE embsql.cohorts ADD COLUMN made_by text;

-- Whose encoder read a text: nobody takes over what another says that its vector is.
ALTER TABLE embsql.text_vectors ADD COLUMN made_by text NOT NULL DEFAULT session_user;
ALTER TABLE embsql.text_vectors DROP CONSTRAINT text_vectors_pkey;
ALTER TABLE embsql.text_vectors ADD PRIMARY KEY (content, made_by);

-- Whether somebody wants a job to stop that a worker has.
ALTER TABLE embsql.jobs ADD COLUMN cancelled boolean NOT NULL DEFAULT FALSE;
DROP FUNCTION IF EXISTS embsql.cancel(text); -- it takes a job's number too
