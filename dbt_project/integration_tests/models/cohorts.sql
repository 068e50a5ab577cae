{{ config(post_hook="{{ embsql.set_cohorts('parity', this) }}") }}
select distinct user_id, case when cast(substr(user_id, 2) as integer) % 2 = 0 then 'even' else 'odd' end as cohort
from {{ ref('islands') }}
