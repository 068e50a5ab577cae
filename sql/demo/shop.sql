CREATE OR REPLACE TABLE shop_items (
    item_id VARCHAR PRIMARY KEY, name VARCHAR, aisle VARCHAR, style VARCHAR, launched_on DATE
);

CREATE OR REPLACE TABLE shop_orders (
    customer_id VARCHAR, item_id VARCHAR, quantity INTEGER, ordered_at TIMESTAMP
);
