{#- None, true, one mapping or a list of mappings, as a list of mappings. -#}
{% macro several(given) %}
  {% if not given %}{% do return([]) %}{% endif %}
  {% if given is sameas true %}{% do return([{}]) %}{% endif %}
  {% do return([given] if given is mapping else given) %}
{% endmacro %}
