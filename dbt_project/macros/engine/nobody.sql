{#- No rows, of the given columns and types, to stand after FROM. -#}
{% macro nobody(columns) %}
  {% set parts = [] %}
  {% for name, data_type in columns.items() %}{% do parts.append('cast(null as ' ~ data_type ~ ') as ' ~ name) %}{% endfor %}
  {% do return('(select ' ~ parts | join(', ') ~ ' where 1 = 0)') %}
{% endmacro %}
