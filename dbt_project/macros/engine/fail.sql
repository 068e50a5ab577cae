{#- End the node with a message. -#}
{% macro fail(message) %}
  {% do exceptions.raise_compiler_error('embsql: ' ~ message) %}
{% endmacro %}
