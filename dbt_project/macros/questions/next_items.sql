{#- What comes next in a session: item_id, rank, score, source, unknown_items. -#}
{% macro next_items(model, session, k=none, times=none) %}
  {% do return(embsql.question('next_items', model, {'session': session, 'k': k, 'times': times})) %}
{% endmacro %}
