{#- The length of the live run's vectors, none when nothing is live. -#}
{% macro dim_of(name) %}
  {% set rows = embsql.ask(
    'select run.dim from embsql.models as known join embsql.runs as run on run.run_id = known.live_run where known.model_name = '
    ~ embsql.literal(name)
  ) %}
  {% do return(rows[0][0] | int if rows else none) %}
{% endmacro %}
