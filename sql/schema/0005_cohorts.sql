-- Yours to fill: INSERT INTO embsql.cohorts SELECT 'signup_month', customer_id, strftime(...) FROM ...
-- No part of a run: every run is asked about the same people.

CREATE TABLE embsql.cohorts (
    cohort_set VARCHAR NOT NULL,     -- what divides people: signup_month, country, campaign
    user_id VARCHAR NOT NULL,
    cohort VARCHAR NOT NULL          -- a user may be in several
);
