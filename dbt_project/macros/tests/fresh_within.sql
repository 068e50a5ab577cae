{#- The live run of an embedding model is at most so many hours old. A build that finds nothing changed keeps the run. -#}
{% test fresh_within(model, hours) %}
{% if embsql.nothing_live(model) %}{{ embsql.no_rows() }}{% else %}
select live.run_id, live.finished_at
from (select count(*) as n, max(run_id) as run_id, max(finished_at) as finished_at from {{ embsql.runs(model) }} where is_live) as live
where live.n = 0 or live.finished_at < embsql_internal.utc_now() - interval '{{ hours }} hours'
{% endif %}
{% endtest %}
