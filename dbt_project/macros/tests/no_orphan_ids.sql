{#- Every id here is in another relation; ids of embeddings are text, so both are compared as text. -#}
{% test no_orphan_ids(model, column_name, to, field) %}
select here.id
from (select cast({{ column_name }} as varchar) as id from {{ model }}) as here
left join (select distinct cast({{ field }} as varchar) as id from {{ to }}) as known on known.id = here.id
where known.id is null
{% endtest %}
