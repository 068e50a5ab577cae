{#- What materialize wrote for the live run: user_id, rank, item_id, score; a row for every user and rank. -#}
{% macro top_items(model) %}
  {% set select %}(
    select top.user_id, top.rank, top.item_id, top.score
    from embsql.top_items as top
    where top.run_id = (select known.live_run from embsql.models as known where known.model_name = {{ embsql.literal(embsql.model_name(model)) }})
  ){% endset %}
  {% do return(select) %}
{% endmacro %}
