{#-
    How far every item and user moved since an earlier run, the one that was live before unless named ('shop@7'):
    entity, entity_id, shift, neighbor_overlap. No rows while there is none. The runs' numbers are fixed when the model
    is built, so build a table.
-#}
{% macro drift(model, before=none) %}
  {% set before = before or embsql.previous_run(model) %}
  {% if not before %}
    {% do return(embsql.nobody({'entity': 'varchar', 'entity_id': 'varchar', 'shift': 'double precision', 'neighbor_overlap': 'double precision'})) %}
  {% endif %}
  {% do return('embsql.drift(' ~ embsql.literal(before) ~ ', ' ~ embsql.literal(embsql.model_name(model)) ~ ')') %}
{% endmacro %}
