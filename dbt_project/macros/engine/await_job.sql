{#- Wait for a job of PostgreSQL's queue, saying how far its training is; its answer. No transaction is held. -#}
{% macro await_job(job, model, timeout) %}
  {% set said, looks = [''], [] %}
  {% set wait = var('embsql_worker_wait', 60) %}
  {% for look in range(timeout * 2) if not looks or looks[-1].status in ['queued', 'running'] %}
    {% do looks.append(embsql.look_at_job(job, model)) %}
    {% set now = looks[-1] %}
    {% if now.progress and now.progress != said[-1] %}
      {% do said.append(now.progress) %}
      {% do log('embsql: ' ~ model ~ ' ' ~ now.progress, info=true) %}
    {% endif %}
    {% if now.status == 'queued' and look >= wait * 2 and not now.workers %}
      {% do embsql.give_up(job) %}
      {% do embsql.fail(
        'no worker has taken job ' ~ job ~ ' within ' ~ wait ~ ' seconds. Start one: embsql --db ' ~ embsql.address() ~ ' worker   or let dbt bring its own: embsql dbt build'
      ) %}
    {% endif %}
  {% endfor %}
  {% set last = looks[-1] %}
  {% if last.status in ['queued', 'running'] %}
    {% do embsql.give_up(job) %}
    {% do embsql.fail(
      'job ' ~ job ~ ' of "' ~ model ~ '" is still ' ~ last.status ~ ' after ' ~ timeout ~ ' seconds. A training that has begun goes on '
      ~ '(stop it: select embsql.cancel(' ~ embsql.literal(model) ~ ')); to wait longer set meta.embsql.timeout'
    ) %}
  {% endif %}
  {% if last.status != 'done' %}
    {% do embsql.fail(last.error or 'job ' ~ job ~ ' of "' ~ model ~ '" was cancelled; what was live stays live') %}
  {% endif %}
  {% do return(last.result) %}
{% endmacro %}
