{#- A list of items in the order a user would like them: item_id, rank, score. -#}
{% macro rank_items(model, user, items) %}
  {% do return(embsql.question('rank_items', model, {'for_user': user, 'items': items})) %}
{% endmacro %}
