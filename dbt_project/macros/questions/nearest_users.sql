{#- The users nearest to a vector: user_id, rank, score. -#}
{% macro nearest_users(model, vector, k=none) %}
  {% do return(embsql.question('nearest_users', model, {'to_vector': vector, 'k': k})) %}
{% endmacro %}
