{#- The users nearest to one user: user_id, rank, score. -#}
{% macro similar_users(model, user, k=none) %}
  {% do return(embsql.question('similar_users', model, {'for_user': user, 'k': k})) %}
{% endmacro %}
