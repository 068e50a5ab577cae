{#- Draw a map of the items or users of a model's live run. As CALL embsql.project. -#}
{% macro project(model, entity='item', method='pca', timeout=none) %}
  {% do return(embsql.run_command('project', [embsql.model_name(model), entity, method, '{}'], timeout)) %}
{% endmacro %}
