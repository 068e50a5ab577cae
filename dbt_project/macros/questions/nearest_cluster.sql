{#- The groups by their distance from a vector: cluster_id, distance. -#}
{% macro nearest_cluster(model, vector, entity=none, clustering=none) %}
  {% do return(embsql.question('nearest_cluster', model, {'to_vector': vector, 'entity': entity, 'clustering': clustering})) %}
{% endmacro %}
