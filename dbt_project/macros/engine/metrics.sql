{#- The relation next to an embedding model with the live run's figures: from {{ embsql.metrics(ref('shop')) }} -#}
{% macro metrics(model) %}
  {% do return(api.Relation.create(database=model.database, schema=model.schema, identifier=model.identifier ~ '__metrics', type='view')) %}
{% endmacro %}
