{#- What the newest run found in its rows: check, severity, rows, example, hint. -#}
{% macro validation(model) %}
  {% do return(embsql.question('validation', model)) %}
{% endmacro %}
