{{ config(post_hook="{{ embsql.set_cohorts('signup_month', this) }}") }}
select customer_id as user_id, substr(cast(first_order as varchar), 1, 7) as cohort
from {{ ref('customer_value') }}
