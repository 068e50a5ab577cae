{#- What recommend would have answered a user at a moment: item_id, rank, score, source. -#}
{% macro recommend_as_of(model, user, as_of, k=none, exclude_seen=none) %}
  {% do return(embsql.question('recommend_as_of', model, {'for_user': user, 'as_of': as_of, 'k': k, 'exclude_seen': exclude_seen})) %}
{% endmacro %}
