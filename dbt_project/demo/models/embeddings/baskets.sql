{{ config(materialized='embedding', meta={'embsql': {'dim': 16, 'epochs': 8}}) }}
select invoice_no as user_id, stock_code as item_id from {{ ref('order_lines') }}
