{#- Which cohorts are alike: cohort_a, cohort_b, score. -#}
{% macro cohort_similarity(model, cohort_set) %}
  {% do return(embsql.question('cohort_similarity', model, {'cohort_set': cohort_set})) %}
{% endmacro %}
