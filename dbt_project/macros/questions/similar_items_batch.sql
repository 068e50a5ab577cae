{#- The items nearest to each of a list: for_item, item_id, rank, score. items: a list, or embsql.list_of('select ...') -#}
{% macro similar_items_batch(model, items, k=none) %}
  {% do return(embsql.question('similar_items_batch', model, {'for_items': items, 'k': k})) %}
{% endmacro %}
