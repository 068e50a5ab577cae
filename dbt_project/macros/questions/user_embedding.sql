{#- The vectors of a list of users, all without one: user_id, embedding, norm, bias. -#}
{% macro user_embedding(model, users=none) %}
  {% do return(embsql.question('user_embedding', model, {'users': users})) %}
{% endmacro %}
