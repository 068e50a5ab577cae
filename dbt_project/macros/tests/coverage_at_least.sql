{#- Of the ids in another relation, at least this share has a row here: coverage of the catalog, or of the customers. -#}
{% test coverage_at_least(model, column_name, to, field, at_least) %}
select counted.n, counted.covered
from (
  select count(*) as n, count(here.id) as covered
  from (select distinct cast({{ field }} as varchar) as id from {{ to }} where {{ field }} is not null) as wanted
  left join (select distinct cast({{ column_name }} as varchar) as id from {{ model }}) as here on here.id = wanted.id
) as counted
where counted.covered < {{ at_least }} * counted.n
{% endtest %}
