{#- No vector of a column holds NaN or an infinity. -#}
{% test vector_finite(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} is null or {{ embsql.not_finite(column_name) }}
{% endtest %}
