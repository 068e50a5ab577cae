{#- The relation beside an embedding model that has a row per run: from {{ embsql.runs(ref('shop')) }} -#}
{% macro runs(model) %}
  {% do return(api.Relation.create(database=model.database, schema=model.schema, identifier=model.identifier ~ '__runs', type='view')) %}
{% endmacro %}
