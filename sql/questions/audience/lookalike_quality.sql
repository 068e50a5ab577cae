-- lookalike_quality(model text, seeds text[])
--   -> (k int, recall double, lift double)
-- Whether the vectors would have found these seeds: half of them (every other one in order of the md5 of the id, so
-- always the same half) is asked with, and the other half looked for in the top 10, 100 and 1000 of all other users.
-- recall is the share found, lift how many times what chance would find: 1 says that the seeds have nothing in common
-- that the model knows. Unknown seeds are left out; fewer than two known ones: no rows.
-- example: SELECT * FROM embsql.lookalike_quality('shop', seeds => ARRAY['c0042', 'c0007', 'c0100', 'c0101', 'c0200', 'c0300']);
WITH seed AS (
  SELECT known.user_id, known.direction, row_number() OVER (ORDER BY md5(known.user_id) ASC) % 2 AS half
  FROM given
  CROSS JOIN LATERAL embsql_internal.known_users((SELECT embsql.live_run(:model)), :seeds) AS known
),
subject AS (
  SELECT embsql.vector_avg(seed.direction) AS embedding FROM seed WHERE seed.half = 1
),
ranked AS (
  SELECT
    seed.half AS held,
    row_number() OVER (
      ORDER BY embsql_internal.cosine(other.embedding, other.norm, subject.embedding, embsql.vector_norm(subject.embedding)) DESC, other.user_id ASC
    ) AS ordinal,
    count(*) OVER () AS users
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  LEFT JOIN seed ON seed.user_id = other.user_id
  WHERE other.norm > 0
    AND embsql.vector_norm(subject.embedding) > 0
    AND coalesce(seed.half, 0) = 0
),
found AS (
  SELECT
    top.size,
    CAST(sum(CASE WHEN ranked.ordinal <= top.size THEN 1 ELSE 0 END) AS FLOAT8) / count(*) AS recall,
    max(CASE WHEN ranked.users > top.size THEN CAST(top.size AS FLOAT8) / ranked.users ELSE 1 END) AS chance
  FROM ranked
  CROSS JOIN (VALUES (10), (100), (1000)) AS top (size)
  WHERE ranked.held = 0
  GROUP BY top.size
)
SELECT
  CAST(found.size AS INTEGER) AS k,
  CAST(found.recall AS FLOAT8) AS recall,
  CAST(found.recall / found.chance AS FLOAT8) AS lift
FROM found
ORDER BY k ASC
