{#-
    Group the items or users of a model's live run; without k the silhouette decides. As CALL embsql.cluster.
    Further options, such as seed and threads, go as they are named there.
-#}
{% macro cluster(model, entity='item', k=none, clustering='default', labels=none, normalize=true, timeout=none) %}
  {% set options = embsql.as_json(dict(kwargs, normalize=normalize)) %}
  {% set words = [embsql.model_name(model), entity | string, '' if k is none else k | string, clustering | string] %}
  {% do return(embsql.run_command('cluster', words + [labels or '', options], timeout)) %}
{% endmacro %}
