{#- What meta.embsql.refresh says, as a mapping; none where a build trains. Fails for anything else. -#}
{% macro refresh_settings(given) %}
  {% if not given %}{% do return(none) %}{% endif %}
  {% if given is sameas true %}{% do return({}) %}{% endif %}
  {% set known = ['source', 'user_col', 'item_col', 'weight_col', 'time_col', 'retrain_after'] %}
  {% if given is not mapping or given | reject('in', known) | list %}
    {% do embsql.fail(
      'meta.embsql.refresh must be true, or a mapping with any of ' ~ known | join(', ') ~ ', got ' ~ given
    ) %}
  {% endif %}
  {% do return(given) %}
{% endmacro %}
