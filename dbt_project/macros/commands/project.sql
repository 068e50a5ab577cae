{#-
    Draw a map of the items or users of a model's live run. As CALL embsql.project.
    Further options, such as seed, go as they are named there.
-#}
{% macro project(model, entity='item', method='pca', timeout=none) %}
  {% set words = [embsql.model_name(model), entity | string, method | string, embsql.as_json(kwargs)] %}
  {% do return(embsql.run_command('project', words, timeout)) %}
{% endmacro %}
