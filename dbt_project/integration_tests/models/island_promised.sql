{{ config(materialized='embedding', contract={'enforced': true}, meta={'embsql': {'dim': 4, 'epochs': 2}}) }}
select user_id, item_id from {{ ref('islands') }}
