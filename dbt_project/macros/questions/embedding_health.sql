{#- Whether the vectors are fit for use: entity, check, value, threshold, ok. -#}
{% macro embedding_health(model) %}
  {% do return(embsql.question('embedding_health', model)) %}
{% endmacro %}
