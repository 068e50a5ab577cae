{#-
    Let events count that are newer than the live run. As embsql.watch: source is a SELECT or a table, in PostgreSQL a
    table; user_col, item_col, weight_col and time_col are what its columns are called.
-#}
{% macro watch(model, source=none) %}
  {% do return(adapter.dispatch('watch', 'embsql')(embsql.model_name(model), source, embsql.as_json(kwargs))) %}
{% endmacro %}

{% macro duckdb__watch(name, source, columns) %}
  {% do return(embsql.run_command('watch', [name, source, columns])) %}
{% endmacro %}

{% macro postgres__watch(name, source, columns) %}
  {% set words = [embsql.literal(name), embsql.literal(source), embsql.literal(columns)] %}
  {% set answer = embsql.ask('select embsql.watch(' ~ words | join(', ') ~ ')')[0][0] %}
  {% do adapter.commit() %}
  {% do return([answer]) %}
{% endmacro %}
