{#- Whether the database has embsql's tables; `dbt compile` on an empty database must not fail. -#}
{% macro is_installed() %}
  {% do return(embsql.ask(
    "select count(*) from information_schema.tables where table_schema = 'embsql' and table_name = 'models'"
  )[0][0] > 0) %}
{% endmacro %}
