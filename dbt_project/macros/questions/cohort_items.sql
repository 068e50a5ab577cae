{#- What sets each cohort apart: cohort, item_id, rank, score, lift. -#}
{% macro cohort_items(model, cohort_set, k=none) %}
  {% do return(embsql.question('cohort_items', model, {'cohort_set': cohort_set, 'k': k})) %}
{% endmacro %}
