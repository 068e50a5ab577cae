{#- A row per run of a model, newest first in run_id; is_live says which one is asked. -#}
{% macro runs_sql(name) %}
  {% set select %}
select
  run.run_id, run.model_name, run.run_id = known.live_run as is_live,
  run.status, run.algorithm, run.params, run.dim,
  run.similarity, run.users, run.items, run.interactions, run.started_at, run.finished_at, run.source_hash, run.checksum,
  run.error
from embsql.runs as run
join embsql.models as known on known.model_name = run.model_name
where run.model_name = {{ embsql.literal(name) }}
  {% endset %}
  {% do return(select) %}
{% endmacro %}
