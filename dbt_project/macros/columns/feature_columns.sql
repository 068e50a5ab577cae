{#-
    embsql.features with a column for every dimension, to stand after FROM: entity_id, norm, interactions, total_weight,
    mean_weight, first_time, last_time, mean_neighbor_degree, mean_cosine, then <prefix>00, <prefix>01, ...

    model: ref('...') or a model's name; entity: user or item; dim: how many dimensions (all of the live run).
-#}
{% macro feature_columns(model, entity='user', dim=none, prefix='e') %}
  {% set name = embsql.model_name(model) %}
  {% set dims = dim or (embsql.dim_of(name) if execute and embsql.is_installed() else none) or 1 %}
  {% set select %}(
    select
      f.entity_id, f.norm, f.interactions, f.total_weight, f.mean_weight, f.first_time, f.last_time, f.mean_neighbor_degree,
      f.mean_cosine
      {%- for place in range(1, dims + 1) %},
      {{ embsql.dimension('f.embedding', place) }} as {{ prefix }}{{ '%02d' | format(place - 1) }}
      {%- endfor %}
    from {{ embsql.features(name, entity) }} as f
  ){% endset %}
  {% do return(select) %}
{% endmacro %}
