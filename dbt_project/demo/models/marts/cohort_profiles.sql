-- depends_on: {{ ref('signup_cohorts') }}
select profile.cohort, profile.users, profile.spread, profile.coverage
from {{ embsql.cohort_profiles(ref('shop'), 'signup_month') }} as profile
