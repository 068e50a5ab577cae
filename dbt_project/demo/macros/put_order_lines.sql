{#- Put the raw order lines where the source expects them, unless they are there; --full-refresh makes them anew. -#}
{% macro put_order_lines() %}
  {% if not execute or flags.WHICH not in ['run', 'build'] %}{% do return('') %}{% endif %}
  {% set raw = api.Relation.create(database=target.database, schema='raw', identifier='order_lines', type='table') %}
  {% if load_relation(raw) and not flags.FULL_REFRESH %}{% do return('') %}{% endif %}
  {% if var('online_retail') and target.type != 'duckdb' %}
    {% do exceptions.raise_compiler_error('the variable online_retail is read by DuckDB; in PostgreSQL load the file into raw.order_lines yourself') %}
  {% endif %}
  {% call statement('order_lines') %}
  create schema if not exists raw;
  drop table if exists {{ raw }};
  create table {{ raw }} as
  {% if var('online_retail') %}select * from read_parquet('{{ var('online_retail') }}'){% else %}{{ generated_order_lines() }}{% endif %};
  {% endcall %}
  {% do adapter.commit() %}
{% endmacro %}
