{#-
    Say who is in which cohort, as a post_hook of a model with user_id and cohort:
      post_hook="{{ embsql.set_cohorts('signup_month', this) }}"
    The set is replaced; embsql.cohort_profiles and its kin then answer for it.
-#}
{% macro set_cohorts(cohort_set, relation, user_col='user_id', cohort_col='cohort') %}
  {% do return(adapter.dispatch('set_cohorts', 'embsql')(embsql.literal(cohort_set), relation, user_col, cohort_col)) %}
{% endmacro %}

{% macro default__set_cohorts(set_name, relation, user_col, cohort_col) %}
  delete from embsql.cohorts where cohort_set = {{ set_name }};
  insert into embsql.cohorts (cohort_set, user_id, cohort)
  select {{ set_name }}, embsql.id_text({{ user_col }}), cast({{ cohort_col }} as varchar)
  from {{ relation }}
  where embsql.id_text({{ user_col }}) is not null and {{ cohort_col }} is not null
{% endmacro %}

{% macro postgres__set_cohorts(set_name, relation, user_col, cohort_col) %}
  select embsql.set_cohorts(
    {{ set_name }}, array_agg(embsql.id_text({{ user_col }})), array_agg(cast({{ cohort_col }} as text))
  )
  from {{ relation }}
{% endmacro %}
