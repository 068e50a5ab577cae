{#- Refuse to train a model that a dbt model of another schema owns: two developers, or development and production. -#}
{% macro check_owner(settings, relation) %}
  {% set owners = embsql.ask(
    "select schemaname from pg_catalog.pg_views where viewname like '%" ~ '\\_\\_runs' ~ "' escape '\\' "
    ~ "and schemaname <> " ~ embsql.literal(relation.schema)
    ~ " and definition like " ~ embsql.literal("%embsql%'" ~ settings.name ~ "'%")
  ) %}
  {% if owners %}
    {% do embsql.fail(
      'the embsql model "' ~ settings.name ~ '" belongs to schema ' ~ owners[0][0] ~ ', and training it here would change what '
      ~ "is live there. Give it a name of its own: meta={'embsql': {'name': target.schema ~ '_" ~ settings.name ~ "'}}"
    ) %}
  {% endif %}
{% endmacro %}
