-- 1. What is sold: a table of order lines and a table of products.
SELECT item.aisle, count(*) AS lines, count(DISTINCT line.customer_id) AS customers
FROM shop_orders AS line
JOIN shop_items AS item ON item.item_id = line.item_id
GROUP BY item.aisle
ORDER BY lines DESC;

-- 2. Train on the first 22 months. One row per customer and product; ln keeps a pallet of tea from drowning the rest.
CALL embsql.train('shop', source => '
    SELECT customer_id AS user_id, item_id, ln(1 + sum(quantity)) AS weight, max(ordered_at) AS event_time
    FROM shop_orders
    WHERE ordered_at < TIMESTAMP ''2025-11-01''
    GROUP BY customer_id, item_id
', options => '{"dim": 32, "evaluate": true}');

-- 3. Is it any good? The last product of every customer was held out. Beside it: what is popular, and item-kNN.
SELECT metric, value, ci_low, ci_high, popular_value, itemknn_value
FROM embsql.evaluation('shop')
WHERE segment = 'all' AND k = 10 AND metric IN ('ndcg', 'recall', 'coverage');

-- 4. Does it know what it was never told? Aisle and style are columns of products that the training did not see.
--    The share of the five nearest products that have the same one, beside the share that chance would give.
SELECT
    avg(CAST(other.aisle = item.aisle AS INTEGER)) AS same_aisle,
    1.0 / count(DISTINCT item.aisle) AS by_chance,
    avg(CAST(other.style = item.style AS INTEGER)) AS same_style,
    1.0 / count(DISTINCT item.style) AS by_chance_too
FROM embsql.item_embedding('shop') AS known
JOIN shop_items AS item ON item.item_id = known.item_id, LATERAL (
    SELECT answer.item_id FROM embsql.similar_items('shop', item.item_id, k => 5) AS answer
) AS near
JOIN shop_items AS other ON other.item_id = near.item_id;

-- 5. A customer, and what to show them, with names.
SELECT best.rank, item.name, best.score, best.source
FROM embsql.recommend('shop', 'c0042', k => 5) AS best
JOIN shop_items AS item ON item.item_id = best.item_id
ORDER BY best.rank;

-- 6. Why the first of them? What of their history speaks for it.
SELECT item.name, reason.weight, reason.share
FROM embsql.explain('shop', 'c0042', (SELECT item_id FROM embsql.recommend('shop', 'c0042', k => 1))) AS reason
JOIN shop_items AS item ON item.item_id = reason.item_id
ORDER BY reason.share DESC
LIMIT 3;

-- 7. A newsletter for everyone who ordered in the last month: two products each, none of which they have.
CREATE OR REPLACE TABLE newsletter AS
SELECT customer.customer_id, best.rank, best.item_id, best.score
FROM (
    SELECT DISTINCT customer_id FROM shop_orders
    WHERE ordered_at >= TIMESTAMP '2025-10-01' AND ordered_at < TIMESTAMP '2025-11-01'
) AS customer, LATERAL (
    SELECT * FROM embsql.recommend('shop', customer.customer_id, k => 2)
) AS best;

-- 8. Did it fit? Of those who ordered in the month after, the share who then took a product of their newsletter, and
--    the share who for the first time took one of the two products most bought, had everyone been told of these.
WITH later AS (
    SELECT DISTINCT customer_id, item_id FROM shop_orders
    WHERE ordered_at >= TIMESTAMP '2025-11-01' AND ordered_at < TIMESTAMP '2025-12-01'
),
reader AS (
    SELECT DISTINCT letter.customer_id FROM newsletter AS letter JOIN later ON later.customer_id = letter.customer_id
),
popular AS (
    SELECT item_id FROM shop_orders WHERE ordered_at < TIMESTAMP '2025-11-01'
    GROUP BY item_id ORDER BY count(DISTINCT customer_id) DESC, item_id LIMIT 2
)
SELECT
    count(*) AS customers,
    avg(CAST(EXISTS (
        SELECT 1 FROM newsletter AS letter
        JOIN later ON later.customer_id = letter.customer_id AND later.item_id = letter.item_id
        WHERE letter.customer_id = reader.customer_id
    ) AS INTEGER)) AS took_the_newsletter,
    avg(CAST(EXISTS (
        SELECT 1 FROM later JOIN popular ON popular.item_id = later.item_id
        WHERE later.customer_id = reader.customer_id AND NOT EXISTS (
            SELECT 1 FROM embsql.interactions AS past
            WHERE past.run_id = embsql.live_run('shop')
                AND past.user_id = reader.customer_id AND past.item_id = popular.item_id
        )
    ) AS INTEGER)) AS took_what_is_popular
FROM reader;

-- 9. A product needs buyers: whom to tell, leaving out who has it.
SELECT * FROM embsql.recommend_users('shop', 'mug-03', k => 3);

-- 10. Two months later: train on everything. The same model, a new run; readers change over when it is live.
CALL embsql.train('shop', source => '
    SELECT customer_id AS user_id, item_id, ln(1 + sum(quantity)) AS weight, max(ordered_at) AS event_time
    FROM shop_orders
    GROUP BY customer_id, item_id
', options => '{"dim": 32, "evaluate": true}');

-- 11. What there is now.
SELECT status, algorithm, json_extract(params, '$.dim') AS dim FROM embsql.runs('shop');
