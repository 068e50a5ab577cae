{#- The groups that clustering made: cluster_id, size, radius, label, top_ids. -#}
{% macro clusters(model, entity=none, clustering=none) %}
  {% do return(embsql.question('clusters', model, {'entity': entity, 'clustering': clustering})) %}
{% endmacro %}
