{#- Every vector of a column has `dim` numbers. -#}
{% test vector_dim(model, column_name, dim) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} is null or {{ embsql.vector_dims(column_name) }} <> {{ dim }}
{% endtest %}
