{#- Group the items or users of a model's live run; without k the silhouette decides. As CALL embsql.cluster. -#}
{% macro cluster(model, entity='item', k=none, clustering='default', labels=none, raw=false, timeout=none) %}
  {% set words = [embsql.model_name(model), entity, k | string if k else '', clustering, labels or '', tojson({'raw': raw})] %}
  {% do return(embsql.run_command('cluster', words, timeout)) %}
{% endmacro %}
