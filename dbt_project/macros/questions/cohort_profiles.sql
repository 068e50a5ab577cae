{#- Every cohort of a set (embsql.set_cohorts) in the space: cohort, users, centroid, spread, coverage. -#}
{% macro cohort_profiles(model, cohort_set) %}
  {% do return(embsql.question('cohort_profiles', model, {'cohort_set': cohort_set})) %}
{% endmacro %}
