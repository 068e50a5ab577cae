{#- One number of a vector, places counted from 1. -#}
{% macro dimension(column, place) %}
  {% do return(adapter.dispatch('dimension', 'embsql')(column, place)) %}
{% endmacro %}

{% macro default__dimension(column, place) %}
  {% do return(column ~ '[' ~ place ~ ']') %}
{% endmacro %}

{% macro postgres__dimension(column, place) %}
  {% do return('(cast(' ~ column ~ ' as real[]))[' ~ place ~ ']') %}
{% endmacro %}
