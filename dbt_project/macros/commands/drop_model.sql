{#- Remove a model with all its runs, the live one too: dbt run-operation embsql.drop_model --args '{model: shop}' -#}
{% macro drop_model(model, if_exists=false) %}
  {% do return(embsql.say(embsql.run_command('drop_model', [embsql.model_name(model), if_exists | string]))) %}
{% endmacro %}
