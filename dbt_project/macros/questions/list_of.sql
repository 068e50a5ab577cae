{#- The one column of a SELECT as a list of ids: embsql.list_of('select user_id from ' ~ ref('buyers')) -#}
{% macro list_of(select) %}
  {% do return(adapter.dispatch('list_of', 'embsql')(select)) %}
{% endmacro %}

{% macro default__list_of(select) %}
  {% do return(embsql.expression('(select list(embsql.id_text(ids.id)) from (' ~ select ~ ') as ids(id))')) %}
{% endmacro %}

{% macro postgres__list_of(select) %}
  {% do return(embsql.expression('array(select embsql.id_text(ids.id) from (' ~ select ~ ') as ids(id))')) %}
{% endmacro %}
