-- Yours to fill: INSERT INTO embsql.cohorts SELECT 'signup_month', customer_id, to_char(...) FROM ...
-- No part of a run: every run is asked about the same people.

CREATE TABLE embsql.cohorts (
    cohort_set text COLLATE "C" NOT NULL, -- what divides people: signup_month, country, campaign
    user_id text COLLATE "C" NOT NULL,
    cohort text COLLATE "C" NOT NULL      -- a user may be in several
);
CREATE INDEX ON embsql.cohorts (cohort_set);
CREATE INDEX ON embsql.cohorts (user_id);
