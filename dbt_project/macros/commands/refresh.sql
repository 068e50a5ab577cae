{#-
    Fold the watched source's new events into a model, as a run: dbt run-operation embsql.refresh --args '{model: shop}'
    With retrain_after it is trained instead where embsql.freshness says a staleness above that.
-#}
{% macro refresh(model, retrain_after=none, timeout=none) %}
  {% set options = {} if retrain_after is none else {'retrain_after': retrain_after} %}
  {% set words = [embsql.model_name(model), embsql.as_json(options)] %}
  {% set answer = embsql.run_command('refresh', words, timeout) %}
  {% set done = 'is trained' if answer[4] == 'True' else 'has ' ~ answer[1] ~ ' users folded in' %}
  {% do log('embsql: ' ~ words[0] ~ ' ' ~ done ~ ', run ' ~ answer[0] ~ ' is live', info=true) %}
  {% do return(answer) %}
{% endmacro %}
