{{ config(materialized='embedding', contract={'enforced': true}, meta={'embsql': {
    'algorithm': 'als', 'dim': 32, 'evaluate': true,
    'cluster': [{'entity': 'user', 'k': 8, 'labels': 'customer_labels'}, {'entity': 'item', 'k': 8}],
    'project': {'entity': 'user'},
    'materialize': {'k': 5},
}}) }}
-- depends_on: {{ ref('customer_labels') }}
select user_id, item_id, weight, event_time from {{ ref('interactions') }}
