-- What the generated shop knows of its customers and products, for a model that also serves newcomers.

-- user_features: what a customer came for: the aisle and style of the first thing they ordered
SELECT DISTINCT ON (line.customer_id) line.customer_id AS user_id, item.aisle AS first_aisle, item.style AS first_style
FROM shop_orders AS line
JOIN shop_items AS item ON item.item_id = line.item_id
ORDER BY line.customer_id ASC, line.ordered_at ASC, line.item_id ASC

-- item_features: what a product is
SELECT item.item_id, item.aisle, item.style, item.launched_on FROM shop_items AS item
