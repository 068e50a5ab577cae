{#- What to show each of many users: for_user, item_id, rank, score, source. users: a list, or embsql.list_of('select ...') -#}
{% macro recommend_batch(model, users, k=none, exclude_seen=none, candidates=none) %}
  {% do return(embsql.question('recommend_batch', model, {'for_users': users, 'k': k, 'exclude_seen': exclude_seen, 'candidates': candidates})) %}
{% endmacro %}
