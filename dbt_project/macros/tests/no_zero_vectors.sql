{#- At most a share of the vectors (none) has no direction: they are nobody's neighbors. -#}
{% test no_zero_vectors(model, column_name, at_most=0) %}
select counted.zero, counted.n
from (
  select count(*) as n, sum(case when {{ embsql.has_direction(column_name) }} then 0 else 1 end) as zero
  from {{ model }}
) as counted
where counted.zero > {{ at_most }} * counted.n
{% endtest %}
