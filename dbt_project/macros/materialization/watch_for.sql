{#- Watch what meta.embsql.refresh names, in DuckDB the model's own SELECT where it names nothing. -#}
{% macro watch_for(settings, select) %}
  {% set columns = {} %}
  {% for word, value in settings.refresh.items() if word.endswith('_col') %}
    {% do columns.update({word: value}) %}
  {% endfor %}
  {% do adapter.dispatch('watch_for', 'embsql')(settings, select, columns) %}
{% endmacro %}

{% macro duckdb__watch_for(settings, select, columns) %}
  {% set source = embsql.resolve_select('refresh.source', settings.refresh.get('source')) or select %}
  {% set wanted = [source] %}
  {% for name in ['user_col', 'item_col', 'weight_col', 'time_col'] %}{% do wanted.append(columns.get(name)) %}{% endfor %}
  {% set kept = embsql.ask(
    'select source_sql, user_col, item_col, weight_col, time_col from embsql.watches where model_name = '
    ~ embsql.literal(settings.name)
  ) %}
  {# watching reads the source, which a refresh does anyway #}
  {% if not kept or kept[0] | list != wanted %}{% do embsql.watch(settings.name, source, **columns) %}{% endif %}
{% endmacro %}

{% macro postgres__watch_for(settings, select, columns) %}
  {% set source = embsql.relation_named('refresh.source', settings.refresh.source) %}
  {% do embsql.watch(settings.name, source, **columns) %}
{% endmacro %}
