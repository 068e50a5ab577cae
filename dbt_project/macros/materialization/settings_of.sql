{#- What a node says under meta.embsql: our own words apart, and in `options` those for training, the algorithm's too. -#}
{% macro settings_of(node) %}
  {% set given = (node.config.get('meta') or {}).get('embsql') or {} %}
  {% if given is not mapping %}
    {% do embsql.fail('meta.embsql must be a mapping, for example {dim: 64}, got ' ~ given) %}
  {% endif %}
  {% set own = ['name', 'algorithm', 'entity', 'timeout', 'cluster', 'project', 'materialize', 'refresh', 'report'] %}
  {% set options = {} %}
  {% for word, value in given.items() if word not in own %}
    {% do options.update({word: value}) %}
  {% endfor %}
  {% do return({
    'name': (given.get('name') or node.alias) | string,
    'algorithm': given.get('algorithm', 'als') | string,
    'entity': given.get('entity', 'item'),
    'timeout': given.get('timeout', var('embsql_timeout', 3600)),
    'cluster': embsql.several('cluster', given.get('cluster')),
    'project': embsql.several('project', given.get('project')),
    'materialize': embsql.several('materialize', given.get('materialize')),
    'refresh': embsql.refresh_settings(given.get('refresh')),
    'options': options,
  }) %}
{% endmacro %}
