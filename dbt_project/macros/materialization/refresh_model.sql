{#- Fold new events into the live run, and make what is derived of it. -#}
{% macro refresh_model(settings, select) %}
  {% do embsql.watch_for(settings, select) %}
  {% set answer = embsql.refresh(settings.name, settings.refresh.get('retrain_after'), settings.timeout) %}
  {% do embsql.derive(settings, answer[0] | int) %}
{% endmacro %}
