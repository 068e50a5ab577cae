{#- Measure a run on interactions held out: dbt run-operation embsql.evaluate --args '{model: shop}' -#}
{% macro evaluate(model, options={}, timeout=none) %}
  {% do return(embsql.say(embsql.run_command('evaluate', [embsql.model_name(model), embsql.as_json(options)], timeout))) %}
{% endmacro %}
