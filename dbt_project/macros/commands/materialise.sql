{#- Write the k best items of every user and the k nearest of every item into tables, for joins. As CALL embsql.materialise. -#}
{% macro materialise(model, k=10, users=true, items=true, timeout=none) %}
  {% set words = [embsql.model_name(model), k | string, users | string | lower, items | string | lower] %}
  {% do return(embsql.run_command('materialise', words, timeout)) %}
{% endmacro %}
