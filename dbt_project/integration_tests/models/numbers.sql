select cast(n as integer) as n from {{ 'range(200) as given(n)' if target.type == 'duckdb' else 'generate_series(0, 199) as given(n)' }}
