{#- The users most like some seed users: user_id, rank, score. seeds is a list, or embsql.list_of('select ...'). -#}
{% macro lookalikes(model, seeds, k=none, exclude_seeds=none) %}
  {% do return(embsql.question('lookalikes', model, {'seeds': seeds, 'k': k, 'exclude_seeds': exclude_seeds})) %}
{% endmacro %}
