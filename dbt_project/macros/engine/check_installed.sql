{#- Say what to do where embsql is not in the database. -#}
{% macro check_installed() %}
  {% do adapter.dispatch('check_installed', 'embsql')() %}
{% endmacro %}

{% macro duckdb__check_installed() %}
  {% if not embsql.ask("select 1 from duckdb_functions() where function_name = 'embsql_dbt'") %}
    {% do embsql.fail(
      'the plugin is missing. Add to this target in profiles.yml:  plugins: [{module: embsql.dbt}]  and have embsql in the '
      ~ "Python that runs dbt: pip install 'embsql[dbt]'"
    ) %}
  {% endif %}
{% endmacro %}

{% macro postgres__check_installed() %}
  {% if embsql.ask("select to_regclass('embsql.jobs') is null")[0][0] %}
    {% do embsql.fail(
      'this database has no embsql yet. Run once: embsql --db ' ~ embsql.address() ~ ' install'
    ) %}
  {% endif %}
{% endmacro %}

{% macro default__check_installed() %}
  {% do embsql.fail('dbt on ' ~ target.type ~ ' cannot train; there is DuckDB, and PostgreSQL') %}
{% endmacro %}
