{#- Print a command's answer, and pass it on. -#}
{% macro say(answer) %}
  {% do log('embsql: ' ~ answer | join(' '), info=true) %}
  {% do return(answer) %}
{% endmacro %}
