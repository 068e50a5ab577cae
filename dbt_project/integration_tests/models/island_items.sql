{{ config(materialized='embedding', meta={'embsql': {
    'dim': 8, 'epochs': 6, 'evaluate': true,
    'cluster': [{'k': 2}, {'k': 2, 'entity': 'user'}], 'project': true, 'materialize': {'k': 3},
}}) }}
select user_id, item_id, weight, event_time from {{ ref('islands') }}
