{#- A number from 0 up to 1 that looks like chance and depends on nothing but the text. -#}
{% macro uniform(text) %}
  {% do return(adapter.dispatch('uniform', 'embsql_demo')(text)) %}
{% endmacro %}

{% macro default__uniform(text) %}
  {% do return("(cast('0x' || substr(md5(" ~ text ~ "), 1, 8) as bigint) / 4294967296.0)") %}
{% endmacro %}

{% macro postgres__uniform(text) %}
  {% do return("(cast(cast('x' || substr(md5(" ~ text ~ "), 1, 8) as bit(32)) as bigint) / 4294967296.0)") %}
{% endmacro %}
