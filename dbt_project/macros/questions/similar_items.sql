{#- The items nearest to one item: item_id, rank, score. -#}
{% macro similar_items(model, item, k=none) %}
  {% do return(embsql.question('similar_items', model, {'for_item': item, 'k': k})) %}
{% endmacro %}
