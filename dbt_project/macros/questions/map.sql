{#- The map that projecting made: entity_id, x, y, cluster_id. -#}
{% macro map(model, entity=none, method=none) %}
  {% do return(embsql.question('map', model, {'entity': entity, 'method': method})) %}
{% endmacro %}
