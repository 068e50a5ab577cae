-- depends_on: {{ ref('cohorts') }}
{% set shop = ref('island_items') %}
{% set even = embsql.list_of("select distinct user_id from " ~ ref('cohorts') ~ " where cohort = 'even' and user_id < 'u12'") %}
{% set vector = embsql.expression("(select embedding from " ~ shop ~ " where item_id = 'i0')") %}
{% set asked = {
  'similar_items': embsql.similar_items(shop, 'i0', k=4),
  'similar_users': embsql.similar_users(shop, 'u0', k=4),
  'nearest_items': embsql.nearest_items(shop, vector, k=4),
  'nearest_users': embsql.nearest_users(shop, vector, k=4),
  'nearest_cluster': embsql.nearest_cluster(shop, vector),
  'item_embedding': embsql.item_embedding(shop, ['i0', 'i1', 'nobody']),
  'user_embedding': embsql.user_embedding(shop),
  'recommend': embsql.recommend(shop, 'u0', k=3),
  'recommend_as_of': embsql.recommend_as_of(shop, 'nobody', '2026-01-01', k=3),
  'recommend_users': embsql.recommend_users(shop, 'i0', k=3),
  'recommend_batch': embsql.recommend_batch(shop, embsql.list_of("select distinct user_id from " ~ ref('cohorts') ~ " where user_id in ('u0', 'u1')"), k=3),
  'recommend_users_batch': embsql.recommend_users_batch(shop, ['i0', 'i1'], k=3),
  'similar_items_batch': embsql.similar_items_batch(shop, ['i0', 'i1', 'nobody'], k=4),
  'similar_users_batch': embsql.similar_users_batch(shop, ['u0', 'u1'], k=4),
  'recommend_from': embsql.recommend_from(shop, ['i0', 'i2'], k=3),
  'next_items': embsql.next_items(shop, ['i0', 'i2'], k=3),
  'rank_items': embsql.rank_items(shop, 'u0', ['i2', 'i4']),
  'lookalikes': embsql.lookalikes(shop, even, k=5),
  'lookalike_quality': embsql.lookalike_quality(shop, even),
  'cohort_profiles': embsql.cohort_profiles(shop, 'parity'),
  'cohort_similarity': embsql.cohort_similarity(shop, 'parity'),
  'cohort_items': embsql.cohort_items(shop, 'parity', k=2),
  'clusters': embsql.clusters(shop),
  'cluster_members': embsql.cluster_members(shop, entity='user'),
  'map': embsql.map(shop),
  'features': embsql.features(shop, 'item'),
  'drift': embsql.drift(shop),
  'cohort_drift': embsql.cohort_drift(shop, 'parity'),
  'explain': embsql.explain(shop, 'u0', 'i2'),
  'advice': "(select * from " ~ embsql.advice(shop) ~ " where reason = 'below_itemknn')",
  'evaluation': embsql.evaluation(shop),
  'embedding_health': embsql.embedding_health(shop),
  'validation': embsql.validation(shop),
  'top_items': embsql.top_items(shop),
  'neighbors': embsql.neighbors(shop),
} %}
{% for question, answer in asked.items() %}
select '{{ question }}' as question, count(*) as answers from {{ answer }} as answer
{% if not loop.last %}union all{% endif %}
{% endfor %}
