{#- A value as SQL: NULL, a number, a truth value, quoted text, a list; what embsql.expression made stays as it is. -#}
{% macro literal(value) %}
  {% if value is none %}{% do return('null') %}{% endif %}
  {% if value is boolean or value is number %}{% do return(value | string | lower) %}{% endif %}
  {% if value is string %}{% do return("'" ~ value.replace("'", "''") ~ "'") %}{% endif %}
  {% if value is mapping %}{% do return(value.expression) %}{% endif %}
  {% set parts = [] %}
  {% for part in value %}{% do parts.append(embsql.literal(part)) %}{% endfor %}
  {% do return(('[' if target.type == 'duckdb' else 'array[') ~ parts | join(', ') ~ ']') %}
{% endmacro %}
