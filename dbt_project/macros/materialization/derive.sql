{#- Make the clusterings, maps and top-k tables that the settings name, where the run does not have them. -#}
{% macro derive(settings, run_id) %}
  {% set had = [] %}
  {% for row in embsql.ask('select event, detail from embsql.events where run_id = ' ~ run_id) %}
    {% do had.append(row[0] ~ ' ' ~ row[1]) %}
  {% endfor %}
  {% for wanted in settings.cluster if 'cluster ' ~ wanted.get('entity', 'item') ~ ' ' ~ wanted.get('clustering', 'default') not in had %}
    {% set labels = embsql.resolve_select('labels', wanted.get('labels')) %}
    {% do embsql.cluster(settings.name, timeout=settings.timeout, **dict(wanted, labels=labels)) %}
  {% endfor %}
  {% for wanted in settings.project if 'project ' ~ wanted.get('entity', 'item') ~ ' ' ~ wanted.get('method', 'pca') not in had %}
    {% do embsql.project(settings.name, timeout=settings.timeout, **wanted) %}
  {% endfor %}
  {% for wanted in settings.materialize if 'materialize' not in (had | join(' ')) %}
    {% do embsql.materialize(settings.name, timeout=settings.timeout, **wanted) %}
  {% endfor %}
{% endmacro %}
