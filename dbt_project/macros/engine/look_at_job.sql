{#- After half a second: status, result, error and progress of a job, and how many workers show signs of life. -#}
{% macro look_at_job(job, model) %}
  {% do embsql.ask('select 1 from pg_sleep(0.5)') %}
  {% set row = embsql.ask("
    select
      job.status, array_to_json(job.result)::text, job.error,
      (
        select 'epoch ' || log.epoch || ', ' || log.metric || ' ' || round(log.value::numeric, 4)
        from embsql.training_log as log
        join embsql.runs as run on run.run_id = log.run_id
        where run.model_name = " ~ embsql.literal(model) ~ " and run.status = 'training'
        order by log.logged_at desc, log.epoch desc
        limit 1
      ),
      (
        select count(*)
        from embsql.jobs as other
        where other.status = 'running' and other.heartbeat_at > embsql_internal.utc_now() - interval '60 seconds'
      )
    from embsql.jobs as job
    where job.job_id = " ~ job
  )[0] %}
  {% do adapter.commit() %}
  {% do return({
    'status': row[0], 'result': fromjson(row[1]) if row[1] else none, 'error': row[2], 'progress': row[3], 'workers': row[4] | int
  }) %}
{% endmacro %}
