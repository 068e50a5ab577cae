{#- How good the live run is: split, segment, metric, k, value, ci_low, ci_high, popular_value, itemknn_value. -#}
{% macro evaluation(model) %}
  {% do return(embsql.question('evaluation', model)) %}
{% endmacro %}
