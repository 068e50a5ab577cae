{#- Whom to tell about an item: user_id, rank, score. -#}
{% macro recommend_users(model, item, k=none, exclude_seen=none) %}
  {% do return(embsql.question('recommend_users', model, {'for_item': item, 'k': k, 'exclude_seen': exclude_seen})) %}
{% endmacro %}
