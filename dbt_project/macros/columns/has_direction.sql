{#- Whether a vector is longer than zero. -#}
{% macro has_direction(column) %}
  {% do return(adapter.dispatch('has_direction', 'embsql')(column)) %}
{% endmacro %}

{% macro default__has_direction(column) %}
  {% do return('embsql.vector_norm(' ~ column ~ ') > 0') %}
{% endmacro %}

{% macro postgres__has_direction(column) %}
  {% do return('exists (select 1 from unnest(cast(' ~ column ~ ' as real[])) as number where number <> 0)') %}
{% endmacro %}
