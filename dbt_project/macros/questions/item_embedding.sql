{#- The vectors of a list of items, all without one: item_id, embedding, norm, bias. -#}
{% macro item_embedding(model, items=none) %}
  {% do return(embsql.question('item_embedding', model, {'items': items})) %}
{% endmacro %}
