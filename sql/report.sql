-- run: What the model is: its run with what it was trained on and how.
SELECT
    run.run_id, run.model_name, known.status, run.algorithm, run.params, run.source_sql, run.seed, run.dim, run.similarity,
    run.users, run.items, run.interactions, run.versions, run.started_at, run.finished_at, run.error, known.phase_seconds
FROM embsql.runs($model) AS known
JOIN embsql.run_records AS run ON run.run_id = known.run_id
WHERE known.run_id = embsql.live_run($model)

-- history: Every run of the model, newest first.
SELECT known.run_id, known.status, known.algorithm, known.metrics, known.finished_at, known.error
FROM embsql.runs($model) AS known

-- gate: What the gate of the run decided.
SELECT judged.verdict, judged.reason, judged.compared_run, judged.difference, judged.ci_low, judged.ci_high
FROM embsql.gate($model) AS judged

-- evaluation: How good it is, against what is popular and item-kNN.
SELECT
    figure.split, figure.segment, figure.metric, figure.k, figure.value, figure.ci_low, figure.ci_high,
    figure.popular_value, figure.itemknn_value
FROM embsql.evaluation($model) AS figure

-- training_log: How training went, epoch by epoch.
SELECT entry.epoch, entry.metric, entry.value FROM embsql.training_log($model) AS entry

-- methods: By which methods a map was drawn of items and users.
SELECT DISTINCT point.entity_kind AS entity, point.method_name AS method
FROM embsql.maps AS point
WHERE point.run_id = embsql.live_run($model)

-- item_points: Items for the map: a fixed choice where there are more than $points.
WITH chosen AS (
    SELECT item.item_id AS entity_id, item.embedding, item.interactions
    FROM embsql.item_embeddings AS item
    WHERE item.run_id = embsql.live_run($model)
    ORDER BY md5(item.item_id) ASC, item.item_id ASC
    LIMIT $points
)
SELECT
    chosen.entity_id, chosen.embedding, chosen.interactions, drawn.x, drawn.y, member.cluster_id,
    CAST(NULL AS VARCHAR) AS cohort_set, CAST(NULL AS VARCHAR) AS cohort
FROM chosen
LEFT JOIN embsql.maps AS drawn
    ON drawn.run_id = embsql.live_run($model) AND drawn.entity_kind = 'item' AND drawn.method_name = $method
    AND drawn.entity_id = chosen.entity_id
LEFT JOIN embsql.cluster_members AS member
    ON member.run_id = embsql.live_run($model) AND member.entity_kind = 'item' AND member.clustering_name = 'default'
    AND member.entity_id = chosen.entity_id
ORDER BY chosen.entity_id ASC

-- user_points: Users for the map, with their cohort of the first set by name.
WITH chosen AS (
    SELECT person.user_id AS entity_id, person.embedding, person.interactions
    FROM embsql.user_embeddings AS person
    WHERE person.run_id = embsql.live_run($model)
    ORDER BY md5(person.user_id) ASC, person.user_id ASC
    LIMIT $points
),
assigned AS (
    SELECT given.cohort_set, given.user_id, min(given.cohort) AS cohort
    FROM embsql.cohorts AS given
    JOIN chosen ON chosen.entity_id = given.user_id
    GROUP BY given.cohort_set, given.user_id
),
divided AS (
    SELECT assigned.cohort_set, assigned.user_id, assigned.cohort
    FROM assigned
    WHERE assigned.cohort_set = (SELECT min(other.cohort_set) FROM assigned AS other)
)
SELECT
    chosen.entity_id, chosen.embedding, chosen.interactions, drawn.x, drawn.y, member.cluster_id,
    divided.cohort_set, divided.cohort
FROM chosen
LEFT JOIN embsql.maps AS drawn
    ON drawn.run_id = embsql.live_run($model) AND drawn.entity_kind = 'user' AND drawn.method_name = $method
    AND drawn.entity_id = chosen.entity_id
LEFT JOIN embsql.cluster_members AS member
    ON member.run_id = embsql.live_run($model) AND member.entity_kind = 'user' AND member.clustering_name = 'default'
    AND member.entity_id = chosen.entity_id
LEFT JOIN divided ON divided.user_id = chosen.entity_id
ORDER BY chosen.entity_id ASC

-- clusters: The groups of items or users, the largest first.
WITH fit AS (
    SELECT member.cluster_id, avg(member.silhouette) AS silhouette
    FROM embsql.cluster_members AS member
    WHERE member.run_id = embsql.live_run($model) AND member.entity_kind = $entity AND member.clustering_name = 'default'
    GROUP BY member.cluster_id
)
SELECT found.cluster_id, found.size, found.radius, found.label, found.top_ids, fit.silhouette
FROM (SELECT DISTINCT 'default' AS name FROM fit) AS made -- without one the question would be an error
CROSS JOIN LATERAL embsql.clusters($model, entity => $entity, clustering => made.name) AS found
LEFT JOIN fit ON fit.cluster_id = found.cluster_id
ORDER BY found.cluster_id ASC

-- drift: How far items and users moved since another run, those that moved most first.
SELECT moved.entity, moved.entity_id, moved.shift, moved.neighbor_overlap
FROM embsql.drift($before, $model) AS moved

-- health: Whether the vectors are fit for use.
SELECT found.entity, found."check" AS name, found.value, found.threshold, found.ok
FROM embsql.embedding_health($model) AS found

-- cold: Which share of users and items have only one interaction or none.
SELECT 'item' AS entity, CAST(avg(CASE WHEN item.interactions <= 1 THEN 1 ELSE 0 END) AS FLOAT8) AS cold
FROM embsql.item_embeddings AS item
WHERE item.run_id = embsql.live_run($model)
UNION ALL
SELECT 'user', CAST(avg(CASE WHEN person.interactions <= 1 THEN 1 ELSE 0 END) AS FLOAT8)
FROM embsql.user_embeddings AS person
WHERE person.run_id = embsql.live_run($model)

-- item_examples: An item from each sixth of the catalog, from the best known to the least, chosen by seed.
WITH ranked AS (
    SELECT item.item_id, item.interactions, ntile(6) OVER (ORDER BY item.interactions DESC, item.item_id ASC) AS tier
    FROM embsql.item_embeddings AS item
    WHERE item.run_id = embsql.live_run($model)
),
drawn AS (
    SELECT
        ranked.tier, ranked.item_id, ranked.interactions,
        row_number() OVER (PARTITION BY ranked.tier ORDER BY md5(CAST($seed AS VARCHAR) || ranked.item_id) ASC) AS draw
    FROM ranked
)
SELECT drawn.item_id AS subject, drawn.interactions FROM drawn WHERE drawn.draw = 1 ORDER BY drawn.tier ASC

-- user_examples: A user from each quarter of users, from the most active to the least, chosen by seed.
WITH ranked AS (
    SELECT person.user_id, person.interactions, ntile(4) OVER (ORDER BY person.interactions DESC, person.user_id ASC) AS tier
    FROM embsql.user_embeddings AS person
    WHERE person.run_id = embsql.live_run($model)
),
drawn AS (
    SELECT
        ranked.tier, ranked.user_id, ranked.interactions,
        row_number() OVER (PARTITION BY ranked.tier ORDER BY md5(CAST($seed AS VARCHAR) || ranked.user_id) ASC) AS draw
    FROM ranked
)
SELECT drawn.user_id AS subject, drawn.interactions FROM drawn WHERE drawn.draw = 1 ORDER BY drawn.tier ASC

-- similar_items: What is like an item.
SELECT near.item_id, near.rank, near.score FROM embsql.similar_items($model, $subject, k => 5) AS near

-- history_of: What a user interacted with last.
SELECT past.item_id, past.weight
FROM embsql.interactions AS past
WHERE past.run_id = embsql.live_run($model) AND past.user_id = $subject
ORDER BY past.last_time DESC NULLS LAST, past.weight DESC, past.item_id ASC
LIMIT 5

-- recommend: What to show a user.
SELECT best.item_id, best.rank, best.score, best.source FROM embsql.recommend($model, $subject, k => 5) AS best

-- advice: What the figures call for, and what to type.
SELECT called.advice AS sentence, called.command FROM embsql.advice($model) AS called

-- validation: What the source looked like.
SELECT finding."check" AS name, finding.severity, finding.rows, finding.example, finding.hint
FROM embsql.validation($model) AS finding

-- shared: A row where two runs have an item or a user in common.
SELECT item.item_id AS entity_id
FROM embsql.item_embeddings AS item
JOIN embsql.item_embeddings AS earlier ON earlier.run_id = embsql.live_run($before) AND earlier.item_id = item.item_id
WHERE item.run_id = embsql.live_run($model)
UNION ALL
SELECT person.user_id
FROM embsql.user_embeddings AS person
JOIN embsql.user_embeddings AS earlier ON earlier.run_id = embsql.live_run($before) AND earlier.user_id = person.user_id
WHERE person.run_id = embsql.live_run($model)
LIMIT 1

-- compared: The figures of two runs that were both measured, with the interval of each.
SELECT
    figure.split, figure.segment, figure.metric, figure.k, figure.a, figure.b, figure.difference,
    of_a.ci_low AS a_low, of_a.ci_high AS a_high, of_b.ci_low AS b_low, of_b.ci_high AS b_high
FROM embsql.compare($before, $model) AS figure
JOIN embsql.evaluation($before) AS of_a
    ON of_a.split = figure.split AND of_a.segment = figure.segment AND of_a.metric = figure.metric AND of_a.k = figure.k
JOIN embsql.evaluation($model) AS of_b
    ON of_b.split = figure.split AND of_b.segment = figure.segment AND of_b.metric = figure.metric AND of_b.k = figure.k
ORDER BY figure.split ASC, figure.segment ASC, figure.metric ASC, figure.k ASC

-- gated: What the gate found when one of two runs was compared with the other.
SELECT
    judged.run_id, judged.compared_run, judged.basis, judged.split, judged.metric, judged.k, judged.users, judged.new_value,
    judged.live_value, judged.difference, judged.ci_low, judged.ci_high
FROM embsql.gate($model) AS judged
WHERE judged.compared_run = embsql.live_run($before) AND judged.difference IS NOT NULL

-- similar_items_of_both: What is like some items that two runs have, in either, from the best known to the least.
WITH ranked AS (
    SELECT item.item_id, item.interactions, ntile(6) OVER (ORDER BY item.interactions DESC, item.item_id ASC) AS tier
    FROM embsql.item_embeddings AS item
    JOIN embsql.item_embeddings AS earlier ON earlier.run_id = embsql.live_run($before) AND earlier.item_id = item.item_id
    WHERE item.run_id = embsql.live_run($model)
),
drawn AS (
    SELECT
        ranked.tier, ranked.item_id, ranked.interactions,
        row_number() OVER (PARTITION BY ranked.tier ORDER BY md5(CAST($seed AS VARCHAR) || ranked.item_id) ASC) AS draw
    FROM ranked
)
SELECT drawn.tier, drawn.item_id AS subject, drawn.interactions, 'a' AS side, near.item_id, near.rank
FROM drawn
CROSS JOIN LATERAL embsql.similar_items($before, drawn.item_id, k => 10) AS near
WHERE drawn.draw <= $most
UNION ALL
SELECT drawn.tier, drawn.item_id, drawn.interactions, 'b', near.item_id, near.rank
FROM drawn
CROSS JOIN LATERAL embsql.similar_items($model, drawn.item_id, k => 10) AS near
WHERE drawn.draw <= $most
ORDER BY 1 ASC, 2 ASC, 4 ASC, 6 ASC

-- recommendations_of_both: What either of two runs shows some users that both have, from the most active to the least.
WITH ranked AS (
    SELECT person.user_id, person.interactions, ntile(4) OVER (ORDER BY person.interactions DESC, person.user_id ASC) AS tier
    FROM embsql.user_embeddings AS person
    JOIN embsql.user_embeddings AS earlier ON earlier.run_id = embsql.live_run($before) AND earlier.user_id = person.user_id
    WHERE person.run_id = embsql.live_run($model)
),
drawn AS (
    SELECT
        ranked.tier, ranked.user_id, ranked.interactions,
        row_number() OVER (PARTITION BY ranked.tier ORDER BY md5(CAST($seed AS VARCHAR) || ranked.user_id) ASC) AS draw
    FROM ranked
)
SELECT drawn.tier, drawn.user_id AS subject, drawn.interactions, 'a' AS side, best.item_id, best.rank
FROM drawn
CROSS JOIN LATERAL embsql.recommend($before, drawn.user_id, k => 10) AS best
WHERE drawn.draw <= $most
UNION ALL
SELECT drawn.tier, drawn.user_id, drawn.interactions, 'b', best.item_id, best.rank
FROM drawn
CROSS JOIN LATERAL embsql.recommend($model, drawn.user_id, k => 10) AS best
WHERE drawn.draw <= $most
ORDER BY 1 ASC, 2 ASC, 4 ASC, 6 ASC
