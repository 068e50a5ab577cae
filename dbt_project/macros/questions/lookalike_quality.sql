{#- Whether half of the seeds would have found the other half: k, recall, lift. -#}
{% macro lookalike_quality(model, seeds) %}
  {% do return(embsql.question('lookalike_quality', model, {'seeds': seeds})) %}
{% endmacro %}
