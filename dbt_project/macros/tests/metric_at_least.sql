{#- A figure of an embedding model's live run, for example ndcg@10, is at least so much. Needs evaluate: true. -#}
{% test metric_at_least(model, metric, at_least, segment='all') %}
{% if embsql.nothing_live(model) %}{{ embsql.no_rows() }}{% else %}
select wanted.metric, figure.value
from (select '{{ metric.split('@')[0] }}' as metric, {{ metric.split('@')[1] | int }} as k) as wanted
left join {{ embsql.metrics(model) }} as figure
  on figure.metric = wanted.metric and figure.k = wanted.k and figure.segment = {{ embsql.literal(segment) }}
where figure.value is null or figure.value < {{ at_least }}
{% endif %}
{% endtest %}
