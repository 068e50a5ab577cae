-- Two islands: users and items of the same parity meet, others never do. Who likes which of the island's items
-- repeats, so that there is something to learn besides what is popular.
select
  'u' || person.n as user_id,
  'i' || item.n as item_id,
  cast(1 + (person.n + item.n) % 3 as integer) as weight,
  timestamp '2026-01-01 00:00:00' + (person.n * 7 + item.n * 11) % 365 * interval '1 day' as event_time
from {{ ref('numbers') }} as person
cross join {{ ref('numbers') }} as item
where item.n < 40
  and person.n % 2 = item.n % 2
  and (person.n % 8 = item.n % 8 or (person.n * 31 + item.n * 17) % 11 = 0)
