{{ config(materialized='embedding', alias='people', meta={'embsql': {'name': 'island_people', 'entity': 'user', 'dim': 6}}) }}
select user_id, item_id from {{ ref('islands') }}
