{#- What the figures of the live run call for: reason, advice, split, metric, value, compared_to, threshold, command, sql_command. -#}
{% macro advice(model) %}
  {% do return(embsql.question('advice', model)) %}
{% endmacro %}
