{#- The relation of the dbt model that an option names, on which this one must depend; other text as it stands. -#}
{% macro relation_named(option, given) %}
  {% if not modules.re.fullmatch('\\w+', given) %}{% do return(given) %}{% endif %}
  {% for node in graph.nodes.values() if node.name == given and node.unique_id in model.depends_on.nodes %}
    {% do return(node.relation_name) %}
  {% endfor %}
  {% do embsql.fail(
    option ~ ' names ' ~ given ~ ', on which this model does not depend. Add a line to its SQL:  -- depends_on: '
    ~ '{' ~ "{ ref('" ~ given ~ "') }" ~ '}'
  ) %}
{% endmacro %}
