DROP TABLE IF EXISTS shop_items;
CREATE TABLE shop_items (item_id VARCHAR PRIMARY KEY, name VARCHAR, aisle VARCHAR, style VARCHAR, launched_on DATE);

DROP TABLE IF EXISTS shop_orders;
CREATE TABLE shop_orders (customer_id VARCHAR, item_id VARCHAR, quantity INTEGER, ordered_at TIMESTAMP);
