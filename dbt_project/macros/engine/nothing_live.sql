{#- Whether a test has nothing to test: under --empty and --sample nothing is trained, and nothing may be live yet. -#}
{% macro nothing_live(model) %}
  {% do return(execute and (flags.EMPTY or flags.SAMPLE) and embsql.live_run(embsql.model_name(model)) is none) %}
{% endmacro %}
