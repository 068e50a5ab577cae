{#- Refuse what cannot work before anything is done: a missing plugin, a name, another owner of the model. -#}
{% macro check_settings(settings, relation) %}
  {% do embsql.check_installed() %}
  {% if not modules.re.fullmatch('[a-z][a-z0-9_]{0,39}', settings.name) %}
    {% do embsql.fail(
      '"' ~ settings.name ~ '" cannot be the name of an embsql model: it starts with a lower-case letter and has at most 40 '
      ~ "lower-case letters, digits and underscores. Give the model one that can: meta={'embsql': {'name': 'shop'}}"
    ) %}
  {% endif %}
  {% if relation.identifier | length > 54 %}
    {% do embsql.fail(
      '"' ~ relation.identifier ~ '" is too long: ' ~ relation.identifier ~ '__metrics would have more than 63 characters. '
      ~ "Give the model a shorter alias: config(alias='shop')"
    ) %}
  {% endif %}
  {% if settings.entity not in ['item', 'user'] %}
    {% do embsql.fail('meta.embsql.entity must be item or user, got ' ~ settings.entity) %}
  {% endif %}
  {% if settings.timeout is not number or settings.timeout is boolean or settings.timeout < 1 %}
    {% do embsql.fail('meta.embsql.timeout must be a number of seconds from 1, got ' ~ settings.timeout) %}
  {% endif %}
  {% if target.type == 'postgres' and settings.refresh is not none and not settings.refresh.get('source') %}
    {% do embsql.fail(
      'meta.embsql.refresh must name what a server watches, a dbt model that is a table or a table with its schema: '
      ~ "'refresh': {'source': 'events'}"
    ) %}
  {% endif %}
  {% do embsql.check_owner(settings, relation) %}
{% endmacro %}
