{#- Make a view what it should be. PostgreSQL waits for readers before it replaces one, so there an equal one stays. -#}
{% macro put_view(relation, select, statement_name='embsql_view') %}
  {% do adapter.dispatch('put_view', 'embsql')(relation, select, statement_name) %}
{% endmacro %}

{% macro default__put_view(relation, select, statement_name) %}
  {% call statement(statement_name) %}create or replace view {{ relation }} as {{ select }}{% endcall %}
{% endmacro %}

{% macro postgres__put_view(relation, select, statement_name) %}
  {% set old = embsql.ask("select pg_get_viewdef(to_regclass(" ~ embsql.literal(relation | string) ~ '))')[0][0] %}
  {% call statement('embsql_draft') %}create temporary view embsql_draft as {{ select }}{% endcall %}
  {% set new = embsql.ask("select pg_get_viewdef('embsql_draft'::regclass)")[0][0] %}
  {% call statement('embsql_draft') %}drop view embsql_draft{% endcall %}
  {% if old != new %}
    {% do embsql.wait_for_readers(relation) %}
    {% call statement('embsql_old') %}drop view if exists {{ relation }} cascade{% endcall %}
    {% call statement(statement_name) %}create view {{ relation }} as {{ select }}{% endcall %}
  {% else %}
    {% call statement(statement_name) %}select 1 as unchanged{% endcall %}
  {% endif %}
{% endmacro %}
