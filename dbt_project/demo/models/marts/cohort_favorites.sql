-- depends_on: {{ ref('signup_cohorts') }}
select favorite.cohort, favorite.item_id, product.description, favorite.rank, favorite.lift
from {{ embsql.cohort_items(ref('shop'), 'signup_month', k=3) }} as favorite
join {{ ref('products') }} as product on product.stock_code = favorite.item_id
