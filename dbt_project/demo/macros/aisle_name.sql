{#- The name of an aisle of the generated shop, counted from 0. -#}
{% macro aisle_name(number) %}
  case {{ number }}
    {% for name in ['TEA', 'COFFEE', 'MUG', 'CANDLE', 'YARN', 'BOOK', 'GARDEN', 'TOY'] %}when {{ loop.index0 }} then '{{ name }}' {% endfor %}
  end
{% endmacro %}
