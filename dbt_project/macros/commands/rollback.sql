{#- Make the run live that was live before: dbt run-operation embsql.rollback --args '{model: shop}' -#}
{% macro rollback(model) %}
  {% do return(embsql.say(embsql.run_command('rollback', [embsql.model_name(model)]))) %}
{% endmacro %}
