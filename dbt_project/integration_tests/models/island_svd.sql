{{ config(materialized='embedding', meta={'embsql': {'algorithm': 'svd', 'dim': 4}}) }}
with pairs as (
  select user_id, item_id, sum(weight) as weight from {{ ref('islands') }} group by user_id, item_id
)
select * from pairs -- the last line may be a comment
