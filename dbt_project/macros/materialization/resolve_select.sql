{#- A SELECT as an option: as it stands, or of the dbt model that it names, on which this one must depend. -#}
{% macro resolve_select(option, given) %}
  {% if not given or not modules.re.fullmatch('\\w+', given) %}{% do return(given) %}{% endif %}
  {% for node in graph.nodes.values() if node.name == given and node.unique_id in model.depends_on.nodes %}
    {% do return('select * from ' ~ node.relation_name) %}
  {% endfor %}
  {% do embsql.fail(
    option ~ ' names ' ~ given ~ ', on which this model does not depend. Add a line to its SQL:  -- depends_on: '
    ~ '{' ~ "{ ref('" ~ given ~ "') }" ~ '}'
  ) %}
{% endmacro %}
