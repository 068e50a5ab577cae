{#- The live run of an embedding model is better than recommending what is popular. Needs evaluate: true. -#}
{% test beats_popular(model, metric='ndcg@10', by=0, segment='all') %}
{% if embsql.nothing_live(model) %}{{ embsql.no_rows() }}{% else %}
select wanted.metric, figure.value, figure.popular_value
from (select '{{ metric.split('@')[0] }}' as metric, {{ metric.split('@')[1] | int }} as k) as wanted
left join {{ embsql.metrics(model) }} as figure
  on figure.metric = wanted.metric and figure.k = wanted.k and figure.segment = {{ embsql.literal(segment) }}
where figure.value is null or figure.value <= figure.popular_value + {{ by }}
{% endif %}
{% endtest %}
