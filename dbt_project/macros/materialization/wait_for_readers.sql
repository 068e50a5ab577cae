{#- Some time for those who read a relation that must go; after that, say who they are. PostgreSQL only. -#}
{% macro wait_for_readers(relation) %}
  {% set seconds = var('embsql_reader_wait', 30) %}
  {% set held = [] %}
  {% for second in range(seconds + 1) if second == 0 or held[-1] %}
    {% do held.append(embsql.ask(
      "select who.pid, coalesce(nullif(who.application_name, ''), 'unnamed'), who.usename::text "
      ~ 'from pg_locks as lock join pg_stat_activity as who on who.pid = lock.pid '
      ~ 'where lock.relation = to_regclass(' ~ embsql.literal(relation | string) ~ ') and lock.granted '
      ~ "and lock.pid <> pg_backend_pid() and lock.database = (select oid from pg_database where datname = current_database())"
    )) %}
    {% if held[-1] %}{% do embsql.ask('select 1 from pg_sleep(1)') %}{% endif %}
  {% endfor %}
  {% if held[-1] %}
    {% set pid, application, person = held[-1][0] %}
    {% do embsql.fail(
      relation ~ ' cannot be replaced: process ' ~ pid ~ ' (' ~ application ~ ', user ' ~ person ~ ') has been reading it in one '
      ~ 'transaction for more than ' ~ seconds ~ ' seconds. Run dbt again when it has ended, or end it: select pg_terminate_backend('
      ~ pid ~ ')'
    ) %}
  {% endif %}
{% endmacro %}
