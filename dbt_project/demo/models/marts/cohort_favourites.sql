-- depends_on: {{ ref('signup_cohorts') }}
select favourite.cohort, favourite.item_id, product.description, favourite.rank, favourite.lift
from {{ embsql.cohort_items(ref('shop'), 'signup_month', k=3) }} as favourite
join {{ ref('products') }} as product on product.stock_code = favourite.item_id
