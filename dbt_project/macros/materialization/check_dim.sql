{#- A contract that promises vectors of one length, and a run that has another, do not go together. -#}
{% macro check_dim(settings, data_type) %}
  {% set promised = modules.re.search('\\d+', data_type or '') %}
  {% set live = embsql.dim_of(settings.name) %}
  {% if promised and live and promised.group() | int != live %}
    {% do embsql.fail(
      'the contract promises embedding as ' ~ data_type ~ ', and the live run of "' ~ settings.name ~ '" has vectors of ' ~ live
      ~ ". Set meta={'embsql': {'dim': " ~ promised.group() ~ '}}, or change data_type'
    ) %}
  {% endif %}
{% endmacro %}
