{#- The number of a model's live run, none when nothing is live. -#}
{% macro live_run(name) %}
  {% set rows = embsql.ask('select live_run from embsql.models where model_name = ' ~ embsql.literal(name)) %}
  {% do return(rows[0][0] if rows else none) %}
{% endmacro %}
