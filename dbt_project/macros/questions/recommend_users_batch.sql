{#- Whom to show each of many items: for_item, user_id, rank, score. items: a list, or embsql.list_of('select ...') -#}
{% macro recommend_users_batch(model, items, k=none, exclude_seen=none) %}
  {% do return(embsql.question('recommend_users_batch', model, {'for_items': items, 'k': k, 'exclude_seen': exclude_seen})) %}
{% endmacro %}
