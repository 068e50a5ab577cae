{#- A row per user (or item) with what a model of churn or value can use; embsql.feature_columns makes it wide. -#}
{% macro features(model, entity=none) %}
  {% do return(embsql.question('features', model, {'entity': entity})) %}
{% endmacro %}
