{#- Remove a person from every run: dbt run-operation embsql.forget --args '{user_id: c42}' -#}
{% macro forget(user_id) %}
  {% do return(embsql.say(embsql.run_command('forget', [user_id | string]))) %}
{% endmacro %}
