{#- A test that passes. -#}
{% macro no_rows() %}
  {% do return('select 1 as fine where 1 = 0') %}
{% endmacro %}
