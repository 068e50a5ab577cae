{#- What to show someone with this basket or history: item_id, rank, score, source. -#}
{% macro recommend_from(model, items, weights=none, k=none, exclude_seen=none, times=none) %}
  {% do return(embsql.question('recommend_from', model, {'items': items, 'weights': weights, 'k': k, 'exclude_seen': exclude_seen, 'times': times})) %}
{% endmacro %}
