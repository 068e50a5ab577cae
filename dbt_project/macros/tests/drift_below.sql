{#-
    Since the run before, the items (or users) moved by less than this on average. by: shift, the cosine distance after
    turning one space onto the other, or overlap, one minus the share of neighbors kept. Passes while there is one run.
-#}
{% test drift_below(model, at_most, entity='item', by='shift') %}
{% set before = embsql.previous_run(model) %}
{% if not before %}{{ embsql.no_rows() }}{% else %}
select moved.amount
from (
  select avg({{ 'd.shift' if by == 'shift' else '1 - d.neighbor_overlap' }}) as amount
  from {{ embsql.drift(model, before) }} as d
  where d.entity = {{ embsql.literal(entity) }}
) as moved
where moved.amount > {{ at_most }}
{% endif %}
{% endtest %}
