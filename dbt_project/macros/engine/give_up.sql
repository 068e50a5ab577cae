{#- Take a job that waits off PostgreSQL's queue. -#}
{% macro give_up(job) %}
  {% call statement('embsql_give_up') %}
    update embsql.jobs set status = 'cancelled', finished_at = embsql.utc_now() where job_id = {{ job }} and status = 'queued'
  {% endcall %}
  {% do adapter.commit() %}
{% endmacro %}
