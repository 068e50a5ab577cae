{#- Options as JSON; what JSON has no word for, such as a date, as text. -#}
{% macro as_json(options) %}
  {% if options is not mapping %}{% do return(tojson(options)) %}{% endif %}
  {% set plain = {} %}
  {% for word, value in options.items() %}
    {% set known = value is none or value is boolean or value is number or value is string or value is iterable %}
    {% do plain.update({word: value if known else value | string}) %}
  {% endfor %}
  {% do return(tojson(plain)) %}
{% endmacro %}
