{#-
    A shop that exists nowhere. A customer likes two of eight aisles, comes for the first time on some day of two years,
    and half of all stay for a season only. Some lines have what real ones have: no customer, a return, a fee.
-#}
{% macro generated_order_lines() %}
with customers as (
  select
    who.n as customer,
    cast(floor(8 * {{ uniform("'first' || who.n") }}) as integer) as first_aisle,
    cast(floor(8 * {{ uniform("'second' || who.n") }}) as integer) as second_aisle,
    cast(floor(600 * {{ uniform("'signup' || who.n") }}) as integer) as signup_day,
    {{ uniform("'stays' || who.n") }} < 0.5 as stays,
    cast(1 - 6 * ln(1 - {{ uniform("'orders' || who.n") }}) as integer) as orders
  from {{ series(var('customers')) }} as who(n)
),
orders as (
  select
    customers.*,
    customers.customer * 1000 + visit.n as invoice,
    customers.signup_day + cast(floor(
      (case when customers.stays then 730 - customers.signup_day else 90 end)
      * (case when visit.n = 1 then 0 else {{ uniform("'day' || customers.customer || '-' || visit.n") }} end)
    ) as integer) as day
  from customers
  cross join {{ series(40) }} as visit(n)
  where visit.n <= customers.orders
),
lines as (
  select
    orders.*,
    place.n as line,
    {{ uniform("'taste' || orders.invoice || '-' || place.n") }} as taste,
    {{ uniform("'product' || orders.invoice || '-' || place.n") }} as choice,
    {{ uniform("'chance' || orders.invoice || '-' || place.n") }} as chance
  from orders
  cross join {{ series(5) }} as place(n)
  where place.n <= 1 + 5 * {{ uniform("'lines' || orders.invoice") }}
),
products as (
  select
    lines.*,
    case when lines.taste < 0.5 then lines.first_aisle when lines.taste < 0.85 then lines.second_aisle
      else cast(floor(8 * lines.chance) as integer) end as aisle,
    1 + cast(floor(30 * lines.choice * lines.choice) as integer) as product
  from lines
)
select
  case when products.chance < 0.015 then 'C' else '' end || cast(products.invoice as varchar) as invoice_no,
  case when products.chance > 0.99 then 'POST'
    else cast(10000 + 100 * products.aisle + products.product as varchar) end as stock_code,
  case when products.chance > 0.99 then 'POSTAGE'
    else {{ aisle_name('products.aisle') }} || ' no. ' || products.product end as description,
  case when products.chance < 0.015 then -1 else 1 + cast(floor(4 * products.taste) as integer) end as quantity,
  timestamp '2024-01-01 09:00:00' + products.day * interval '1 day' + products.line * interval '1 minute' as invoice_date,
  cast(2 + products.aisle * 0.7 + products.product * 0.15 as double precision) as unit_price,
  case when products.chance between 0.5 and 0.53 then null else products.customer end as customer_id,
  case when products.customer % 9 = 0 then 'France' else 'United Kingdom' end as country
from products
{% endmacro %}
