{#- What a node says under meta.embsql: our own words apart, and in `options` those for training, the algorithm's too. -#}
{% macro settings_of(node) %}
  {% set given = (node.config.get('meta') or {}).get('embsql') or {} %}
  {% set own = ['name', 'algorithm', 'entity', 'timeout', 'cluster', 'project', 'materialise'] %}
  {% set options = {} %}
  {% for word, value in given.items() if word not in own %}
    {% do options.update({word: value}) %}
  {% endfor %}
  {% do return({
    'name': given.get('name') or node.alias,
    'algorithm': given.get('algorithm', 'als'),
    'entity': given.get('entity', 'item'),
    'timeout': given.get('timeout', var('embsql_timeout', 3600)),
    'cluster': embsql.several(given.get('cluster')),
    'project': embsql.several(given.get('project')),
    'materialise': embsql.several(given.get('materialise')),
    'options': options,
  }) %}
{% endmacro %}
