{#- SQL as an argument of a question, where text would be a value: embsql.expression('customers.user_id') -#}
{% macro expression(sql) %}
  {% do return({'expression': sql}) %}
{% endmacro %}
