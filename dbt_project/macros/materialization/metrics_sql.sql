{#- The live run's figures: a row per split, segment, metric and k, against what is popular and item-kNN. -#}
{% macro metrics_sql(name) %}
  {% set select %}
select
  figure.run_id, figure.split, figure.segment, figure.metric, figure.k, figure.value, figure.popular_value,
  figure.itemknn_value, figure.ci_low, figure.ci_high
from embsql.metrics as figure
where figure.run_id = (
  select known.live_run from embsql.models as known where known.model_name = {{ embsql.literal(name) }}
)
  {% endset %}
  {% do return(select) %}
{% endmacro %}
