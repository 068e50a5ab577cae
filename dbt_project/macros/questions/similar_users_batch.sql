{#- The users nearest to each of a list: for_user, user_id, rank, score. users: a list, or embsql.list_of('select ...') -#}
{% macro similar_users_batch(model, users, k=none) %}
  {% do return(embsql.question('similar_users_batch', model, {'for_users': users, 'k': k})) %}
{% endmacro %}
