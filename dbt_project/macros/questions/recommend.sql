{#- What to show a user: item_id, rank, score, source. For many: lateral, with user=embsql.expression('people.user_id'). -#}
{% macro recommend(model, user, k=none, exclude_seen=none, candidates=none) %}
  {% do return(embsql.question('recommend', model, {'for_user': user, 'k': k, 'exclude_seen': exclude_seen, 'candidates': candidates})) %}
{% endmacro %}
