{#-
    An HNSW index on a vector column of a table of your own, as a post_hook:
      post_hook="{{ embsql.create_vector_index(this, 'embedding', dim=64) }}"
    metric: cosine, dot or l2. Runs in embsql's own tables have their indexes. On DuckDB, which scans exactly, nothing.
-#}
{% macro create_vector_index(relation, column, dim, metric='cosine', m=16, ef_construction=64) %}
  {% do return(adapter.dispatch('create_vector_index', 'embsql')(relation, column, dim, metric, m, ef_construction)) %}
{% endmacro %}

{% macro default__create_vector_index(relation, column, dim, metric, m, ef_construction) %}
  {% do return('') %}
{% endmacro %}

{% macro postgres__create_vector_index(relation, column, dim, metric, m, ef_construction) %}
  {% set operators = {'cosine': 'vector_cosine_ops', 'dot': 'vector_ip_ops', 'l2': 'vector_l2_ops'} %}
  {% if metric not in operators %}{% do embsql.fail('metric must be cosine, dot or l2, got ' ~ metric) %}{% endif %}
  {% do return(
    'create index on ' ~ relation ~ ' using hnsw ((cast(' ~ column ~ ' as vector(' ~ dim ~ '))) ' ~ operators[metric]
    ~ ') with (m = ' ~ m ~ ', ef_construction = ' ~ ef_construction ~ ')'
  ) %}
{% endmacro %}
