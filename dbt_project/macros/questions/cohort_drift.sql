{#- As embsql.drift, for the cohorts of a set: cohort, users, drift, neighbor_overlap, enough_data. -#}
{% macro cohort_drift(model, cohort_set, before=none) %}
  {% set before = before or embsql.previous_run(model) %}
  {% if not before %}
    {% do return(embsql.nobody({
      'cohort': 'varchar', 'users': 'bigint', 'drift': 'double precision', 'neighbor_overlap': 'double precision', 'enough_data': 'boolean'
    })) %}
  {% endif %}
  {% set runs = embsql.literal(before) ~ ', ' ~ embsql.literal(embsql.model_name(model)) %}
  {% do return('embsql.cohort_drift(' ~ runs ~ ', ' ~ embsql.literal(cohort_set) ~ ')') %}
{% endmacro %}
