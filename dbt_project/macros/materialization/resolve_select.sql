{#- A SELECT as an option: as it stands, or of the dbt model that it names, on which this one must depend. -#}
{% macro resolve_select(option, given) %}
  {% if not given or not modules.re.fullmatch('\\w+', given) %}{% do return(given) %}{% endif %}
  {% do return('select * from ' ~ embsql.relation_named(option, given)) %}
{% endmacro %}
