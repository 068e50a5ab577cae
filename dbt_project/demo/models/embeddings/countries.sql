{{ config(materialized='embedding', meta={'embsql': {'dim': 8, 'epochs': 8, 'entity': 'user'}}) }}
select country || ' ' || substr(cast(ordered_at as varchar), 1, 7) as user_id, stock_code as item_id, ln(1 + sum(quantity)) as weight
from {{ ref('order_lines') }}
group by 1, 2
