select alike.user_id
from {{ embsql.lookalikes(ref('island_items'), ['u0', 'u8', 'u16'], k=5) }} as alike
where cast(substr(alike.user_id, 2) as integer) % 2 = 1
