{#- Whether a vector holds NaN or an infinity; pgvector refuses to. -#}
{% macro not_finite(column) %}
  {% do return(adapter.dispatch('not_finite', 'embsql')(column)) %}
{% endmacro %}

{% macro default__not_finite(column) %}
  {% do return('len(list_filter(' ~ column ~ ', lambda x: not isfinite(x))) > 0') %}
{% endmacro %}

{% macro postgres__not_finite(column) %}
  {% do return("cast(" ~ column ~ " as real[]) && array['NaN', 'Infinity', '-Infinity']::real[]") %}
{% endmacro %}
