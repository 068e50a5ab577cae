{{ config(contract={'enforced': true}) }}
select
  customer_id,
  cast(min(ordered_at) as date) as first_order,
  cast(max(ordered_at) as date) as last_order,
  cast(count(distinct invoice_no) as bigint) as orders,
  cast(sum(revenue) as double precision) as revenue
from {{ ref('order_lines') }}
group by customer_id
