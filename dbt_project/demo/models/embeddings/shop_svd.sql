{{ config(materialized='embedding', meta={'embsql': {'algorithm': 'svd', 'dim': 16}}) }}
select user_id, item_id, weight from {{ ref('interactions') }}
