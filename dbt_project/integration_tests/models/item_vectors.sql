{{ config(post_hook="{{ embsql.create_vector_index(this, 'embedding', dim=8) }}") }}
select * from {{ ref('island_items') }}
