{#- The model's view and the two next to it; the relations. -#}
{% macro create_views(relation, settings) %}
  {% set runs, metrics = embsql.runs(relation), embsql.metrics(relation) %}
  {% do embsql.put_view(relation, embsql.vectors_sql(settings), 'main') %}
  {% do embsql.put_view(runs, embsql.runs_sql(settings.name)) %}
  {% do embsql.put_view(metrics, embsql.metrics_sql(settings.name)) %}
  {% do return([relation, runs, metrics]) %}
{% endmacro %}
