{#- Make the clusterings, maps and top-k tables that the settings name, where the run does not have them. -#}
{% macro derive(settings, run_id) %}
  {% set had = [] %}
  {# clusters and maps are looked for themselves: a run made by folding in has those of the one it was made of #}
  {% for row in embsql.ask(
    "select 'cluster ' || c.entity_kind || ' ' || c.clustering_name from embsql.clusters as c where c.run_id = " ~ run_id
    ~ " union select 'project ' || m.entity_kind || ' ' || m.method_name from embsql.maps as m where m.run_id = " ~ run_id
    ~ " union select e.event from embsql.events as e where e.event = 'materialize' and e.run_id = " ~ run_id
  ) %}
    {% do had.append(row[0]) %}
  {% endfor %}
  {% for wanted in settings.cluster if 'cluster ' ~ wanted.get('entity', 'item') ~ ' ' ~ wanted.get('clustering', 'default') not in had %}
    {% set labels = embsql.resolve_select('labels', wanted.get('labels')) %}
    {% do embsql.cluster(settings.name, timeout=settings.timeout, **dict(wanted, labels=labels)) %}
  {% endfor %}
  {% for wanted in settings.project if 'project ' ~ wanted.get('entity', 'item') ~ ' ' ~ wanted.get('method', 'pca') not in had %}
    {% do embsql.project(settings.name, timeout=settings.timeout, **wanted) %}
  {% endfor %}
  {% for wanted in settings.materialize if 'materialize' not in had %}
    {% do embsql.materialize(settings.name, timeout=settings.timeout, **wanted) %}
  {% endfor %}
{% endmacro %}
