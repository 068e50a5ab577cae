{#-
    Do a command (embsql.api.commands) and wait for it: in this process on DuckDB, by a worker on PostgreSQL. Its answer, a list
    of text. Whatever is open is committed before, so that it is seen, and nothing is open after, so that one sees it.
-#}
{% macro run_command(command, words, timeout=none) %}
  {% do embsql.check_installed() %}
  {% do adapter.commit() %}
  {% do return(adapter.dispatch('run_command', 'embsql')(command, words, timeout or var('embsql_timeout', 3600))) %}
{% endmacro %}

{% macro duckdb__run_command(command, words, timeout) %}
  {% set text = embsql.ask('select embsql_dbt(' ~ embsql.literal([command] + words) ~ ')')[0][0] %}
  {% set done = fromjson(text) %}
  {% do adapter.commit() %}
  {% if done.error %}{% do embsql.fail(done.error) %}{% endif %}
  {% do return(done.answer) %}
{% endmacro %}

{% macro postgres__run_command(command, words, timeout) %}
  {% set job = embsql.ask(
    'select embsql_internal.enqueue(' ~ embsql.literal(command) ~ ', ' ~ embsql.literal(none if command == 'forget' else words[0]) ~ ', ' ~ embsql.literal(words) ~ '::text[])'
  )[0][0] | int %}
  {% do adapter.commit() %}
  {% do return(embsql.await_job(job, words[0], timeout)) %}
{% endmacro %}
