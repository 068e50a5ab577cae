{#- The target's PostgreSQL as the command line takes it, without the password. -#}
{% macro address() %}
  {% if target.host.startswith('/') %}
    {% do return("'postgresql://" ~ target.user ~ '@/' ~ target.dbname ~ '?host=' ~ target.host ~ "'") %}
  {% endif %}
  {% do return('postgresql://' ~ target.user ~ '@' ~ target.host ~ ':' ~ target.port ~ '/' ~ target.dbname) %}
{% endmacro %}
