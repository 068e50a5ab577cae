{#- Remove a run and its rows: dbt run-operation embsql.drop_run --args '{model: shop@7}' -#}
{% macro drop_run(model) %}
  {% do return(embsql.say(embsql.run_command('drop_run', [embsql.model_name(model)]))) %}
{% endmacro %}
