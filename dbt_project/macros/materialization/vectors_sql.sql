{#- The live run's vectors. An enforced contract decides the columns and casts them, so that FLOAT[64] can be promised. -#}
{% macro vectors_sql(settings) %}
  {% set key = settings.entity ~ '_id' %}
  {% set declared = {} %}
  {% if config.get('contract') and config.get('contract').enforced %}
    {% for column in model.columns.values() %}{% do declared.update({column.name | lower: column.data_type}) %}{% endfor %}
  {% endif %}
  {% set select %}
select
  {%- for name in [key, 'embedding', 'norm', 'bias', 'interactions', 'run_id'] if name in declared or not declared %}
  {{ ', ' if not loop.first }}{{ 'cast(vectors.' ~ name ~ ' as ' ~ declared[name] ~ ') as ' ~ name if name in declared else 'vectors.' ~ name }}
  {%- endfor %}
from embsql.{{ settings.entity }}_embeddings as vectors
where vectors.run_id = (
  select known.live_run from embsql.models as known where known.model_name = {{ embsql.literal(settings.name) }}
)
  {% endset %}
  {% if declared %}
    {% do embsql.check_dim(settings, declared.get('embedding')) %}
    {% do get_assert_columns_equivalent(select) %}
  {% endif %}
  {% do return(select) %}
{% endmacro %}
