select * from {{ embsql.feature_columns(ref('island_items'), entity='user') }} as features
