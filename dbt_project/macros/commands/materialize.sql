{#-
    Write the k best items of every user and the k nearest of every item into tables, for joins. As CALL
    embsql.materialize. Further options, such as threads, go as they are named in Python.
-#}
{% macro materialize(model, k=10, users=true, items=true, timeout=none) %}
  {% set words = [embsql.model_name(model), k | string, users | string, items | string, embsql.as_json(kwargs)] %}
  {% do return(embsql.run_command('materialize', words, timeout)) %}
{% endmacro %}
