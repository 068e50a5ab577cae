SELECT customer_id AS user_id, item_id, ln(1 + sum(quantity)) AS weight, max(ordered_at) AS event_time
FROM shop_orders
WHERE ordered_at < TIMESTAMP 'QUARTER'
GROUP BY customer_id, item_id
