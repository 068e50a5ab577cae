{#- Make a finished run live: dbt run-operation embsql.promote --args '{model: shop@7}' -#}
{% macro promote(model) %}
  {% do return(embsql.say(embsql.run_command('promote', [embsql.model_name(model)]))) %}
{% endmacro %}
