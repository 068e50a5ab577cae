-- The same by the function that a trainer may call.
SELECT embsql.set_cohorts('first_order', array_agg(customer.id), array_agg(customer.quarter))
FROM (
    SELECT
        line.customer_id AS id,
        extract(year FROM min(line.ordered_at)) || '-Q' || extract(quarter FROM min(line.ordered_at)) AS quarter
    FROM shop_orders AS line
    GROUP BY line.customer_id
) AS customer;
