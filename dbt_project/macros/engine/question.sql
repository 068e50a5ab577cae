{#- A question of the SQL surface, to stand after FROM; arguments that are none take the question's default. -#}
{% macro question(name, model, arguments={}) %}
  {% set words = [embsql.literal(embsql.model_name(model))] %}
  {% for argument, value in arguments.items() if value is not none %}
    {% do words.append(argument ~ ' => ' ~ embsql.literal(value)) %}
  {% endfor %}
  {% do return('embsql.' ~ name ~ '(' ~ words | join(', ') ~ ')') %}
{% endmacro %}
