-- What a customer has spent most on, by the first word of the product's name.
select customer_id as entity_id, word as label
from (
  select customer_id, word, row_number() over (partition by customer_id order by sum(revenue) desc, word) as place
  from (select customer_id, revenue, {{ dbt.split_part('description', "' '", 1) }} as word from {{ ref('order_lines') }}) as lines
  group by customer_id, word
) as ranked
where place = 1
