{#- The whole numbers from 1, as a table function. -#}
{% macro series(last) %}
  {% do return(('range(1, ' ~ last ~ ' + 1)') if target.type == 'duckdb' else ('generate_series(1, ' ~ last ~ ')')) %}
{% endmacro %}
