{#- The run that was live before, 'shop@7'; none where there was none. -#}
{% macro previous_run(model) %}
  {% set name = embsql.model_name(model) %}
  {% set rows = [] %}
  {% if execute and embsql.is_installed() %}
    {% set rows = embsql.ask(
      'select max(run.run_id) from embsql.runs as run join embsql.models as known on known.model_name = run.model_name '
      ~ "where run.status in ('ready', 'retired') and run.run_id < known.live_run and run.model_name = " ~ embsql.literal(name)
    ) %}
  {% endif %}
  {% do return(name ~ '@' ~ rows[0][0] if rows and rows[0][0] else none) %}
{% endmacro %}
