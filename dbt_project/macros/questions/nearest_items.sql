{#- The items nearest to a vector: item_id, rank, score. -#}
{% macro nearest_items(model, vector, k=none) %}
  {% do return(embsql.question('nearest_items', model, {'to_vector': vector, 'k': k})) %}
{% endmacro %}
