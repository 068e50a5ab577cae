{#- The embsql model behind ref('...'): what meta.embsql.name says, or the relation's name. Text is a name already. -#}
{% macro model_name(model) %}
  {% if model is string %}{% do return(model) %}{% endif %}
  {% if execute %}
    {% for node in graph.nodes.values() if node.relation_name == model | string and node.config.materialized == 'embedding' %}
      {% do return(embsql.settings_of(node).name) %}
    {% endfor %}
  {% endif %}
  {% do return(model.identifier) %}
{% endmacro %}
