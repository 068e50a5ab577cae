{#- The relation next to an embedding model with a row per run: from {{ embsql.runs(ref('shop')) }} -#}
{% macro runs(model) %}
  {% do return(api.Relation.create(database=model.database, schema=model.schema, identifier=model.identifier ~ '__runs', type='view')) %}
{% endmacro %}
