{#- The rows of a query, in the transaction that the node is in. -#}
{% macro ask(sql) %}
  {% call statement('embsql_ask', fetch_result=True) %}{{ sql }}{% endcall %}
  {% do return(load_result('embsql_ask')['data']) %}
{% endmacro %}
