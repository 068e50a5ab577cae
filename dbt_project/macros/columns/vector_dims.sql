{#- The length of a vector. -#}
{% macro vector_dims(column) %}
  {% do return(adapter.dispatch('vector_dims', 'embsql')(column)) %}
{% endmacro %}

{% macro default__vector_dims(column) %}
  {% do return('len(' ~ column ~ ')') %}
{% endmacro %}

{% macro postgres__vector_dims(column) %}
  {% do return('array_length(cast(' ~ column ~ ' as real[]), 1)') %}
{% endmacro %}
