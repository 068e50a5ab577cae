-- A row per day, which the semantic layer joins to.
select cast(timestamp '2009-12-31 00:00:00' + n * interval '1 day' as date) as day from {{ series(7500) }} as given(n)
