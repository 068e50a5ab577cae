{#- What of a user's history carried a score: item_id, weight, contribution, share. -#}
{% macro explain(model, user, item) %}
  {% do return(embsql.question('explain', model, {'for_user': user, 'for_item': item})) %}
{% endmacro %}
