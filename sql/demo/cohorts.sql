-- The customers of the generated shop by the quarter of their first order.
DELETE FROM embsql.cohorts WHERE cohort_set = 'first_order';

INSERT INTO embsql.cohorts (cohort_set, user_id, cohort)
SELECT
    'first_order',
    line.customer_id,
    extract(year FROM min(line.ordered_at)) || '-Q' || extract(quarter FROM min(line.ordered_at))
FROM shop_orders AS line
GROUP BY line.customer_id;
