{#- None, true, one mapping or a list of mappings, as a list of mappings. Fails for anything else. -#}
{% macro several(word, given) %}
  {% if not given %}{% do return([]) %}{% endif %}
  {% if given is sameas true %}{% do return([{}]) %}{% endif %}
  {% set wanted = [given] if given is mapping else given %}
  {% for one in (wanted if wanted is iterable else [wanted]) if one is not mapping or 'timeout' in one or 'model' in one %}
    {% do embsql.fail(
      'meta.embsql.' ~ word ~ ' must be true, options like {entity: user}, or a list of such, got ' ~ given
      ~ '. The model and the timeout are said with it'
    ) %}
  {% endfor %}
  {% do return(wanted) %}
{% endmacro %}
