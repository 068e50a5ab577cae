select count(*) from {{ embsql.runs(ref('island_users')) }} where is_live having count(*) <> 1
