{#- Which group everyone is in: entity_id, cluster_id, distance, silhouette. -#}
{% macro cluster_members(model, entity=none, clustering=none) %}
  {% do return(embsql.question('cluster_members', model, {'entity': entity, 'clustering': clustering})) %}
{% endmacro %}
