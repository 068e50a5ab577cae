{#- What materialize wrote for the live run: item_id, rank, neighbor_id, score; a row for every item and rank. -#}
{% macro neighbors(model) %}
  {% set select %}(
    select near.entity_id as item_id, near.rank, near.neighbor_id, near.score
    from embsql.neighbors as near
    where near.entity = 'item'
      and near.run_id = (select known.live_run from embsql.models as known where known.model_name = {{ embsql.literal(embsql.model_name(model)) }})
  ){% endset %}
  {% do return(select) %}
{% endmacro %}
