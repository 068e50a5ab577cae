{#- Take a job that waits off PostgreSQL's queue. -#}
{% macro give_up(job) %}
  {% call statement('embsql_give_up') %}
    select embsql_internal.give_up({{ job }})
  {% endcall %}
  {% do adapter.commit() %}
{% endmacro %}
