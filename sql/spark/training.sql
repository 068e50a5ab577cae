-- What a training in Spark asks. IDENTIFIER($x) is a table of its own.

-- summary: what is missing among the rows, what cannot be, and what is strange
SELECT
    count(*) AS rows,
    count_if(r.is_usable) AS usable,
    count_if(r.user_id IS NULL) AS no_user,
    count_if(r.item_id IS NULL) AS no_item,
    count_if(r.weight IS NULL) AS null_weight,
    count_if(abs(r.weight) < 1e-37D) AS zero_weight,
    count_if(r.weight < 0) AS negative,
    count_if(NOT abs(r.weight) <= $largest) AS infinite,
    min(r.example) FILTER (WHERE r.weight < 0) AS negative_example,
    min(r.example) FILTER (WHERE NOT abs(r.weight) <= $largest) AS infinite_example,
    count_if(r.event_time IS NULL) AS null_time,
    count_if(r.event_time > $now) AS future_time,
    min(r.event_time) FILTER (WHERE r.is_usable) AS oldest
FROM (
    SELECT
        s.*,
        if(
            s.user_id IS NOT NULL AND s.item_id IS NOT NULL,
            struct(
                concat('user ', s.user_id, ', item ', s.item_id, ', weight ') AS words,
                s.weight AS weight
            ),
            NULL
        ) AS example
    FROM IDENTIFIER($read) AS s
) AS r

-- merged: a row for each pair; a sum in another order would be another
SELECT
    r.user_id,
    r.item_id,
    CAST(
        aggregate(array_sort(collect_list(r.weight)), 0D, (total, weight) -> total + weight)
        / if($average, count(*), 1) AS FLOAT
    ) AS weight,
    max(coalesce(r.event_time, CAST($before AS BIGINT))) AS last_time
FROM IDENTIFIER($read) AS r
WHERE r.is_usable
GROUP BY r.user_id, r.item_id

-- ids: those of users and of items in ranges, which lie in one partition each
SELECT spark_partition_id() AS part, d.side, d.id, d.pairs
FROM (
    SELECT /*+ REPARTITION_BY_RANGE(side, id) */ e.side, e.id, count(*) AS pairs
    FROM IDENTIFIER($merged) AS p
    LATERAL VIEW stack(2, 'user', p.user_id, 'item', p.item_id) e AS side, id
    GROUP BY e.side, e.id
) AS d

-- coded: ids with their number in order by bytes: that within the part, behind the parts before it
WITH parts AS (
    SELECT i.side, i.part, min(i.id) AS first_id, count(*) AS n
    FROM IDENTIFIER($ids) AS i
    GROUP BY i.side, i.part
),
starts AS (
    SELECT
        p.side,
        p.part,
        sum(p.n) OVER (
            PARTITION BY p.side ORDER BY p.first_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) - p.n AS before
    FROM parts AS p
)
SELECT
    i.side,
    i.id,
    CAST(
        s.before + row_number() OVER (PARTITION BY i.side, i.part ORDER BY i.id) - 1 AS INT
    ) AS code,
    i.pairs
FROM IDENTIFIER($ids) AS i
INNER JOIN starts AS s ON s.side = i.side AND s.part = i.part

-- id_facts: what the ids of each side look like
SELECT
    v.side,
    count(*) AS ids,
    count_if(v.pairs = 1) AS lonely,
    count_if(v.id RLIKE '^-?[0-9]+[.]0$') AS pointed,
    min(v.id) FILTER (WHERE contains(v.id, chr(0))) AS with_nul,
    min(struct(-octet_length(v.id) AS shortness, v.id AS id)) AS longest,
    min(struct(-v.pairs AS rareness, v.id AS id)) AS top
FROM IDENTIFIER($ids) AS v
GROUP BY v.side

-- alike: how many groups of ids are the same but for case and spaces, and the first of each side's
SELECT
    g.side,
    count(*) AS alike,
    min(struct(g.first_id AS first_id, g.last_id AS last_id)) AS example
FROM (
    SELECT v.side, min(v.id) AS first_id, max(v.id) AS last_id
    FROM IDENTIFIER($ids) AS v
    GROUP BY v.side, lower(trim(BOTH $spaces FROM v.id))
    HAVING count(*) > 1
) AS g
GROUP BY g.side

-- pair_facts: what the weights look like
SELECT
    count(*) AS pairs,
    count_if(abs(CAST(p.weight AS DOUBLE)) > 3.4028235e38D OR isnan(p.weight)) AS endless,
    min(p.weight) AS smallest,
    min(struct(-p.weight AS smallness, p.user_id AS user_id, p.item_id AS item_id)) AS heaviest,
    percentile_approx(p.weight, array(0.499, 0.501), 10000) AS middle,
    coalesce(max(p.last_time) FILTER (WHERE p.last_time <= $now), max(p.last_time)) AS newest
FROM IDENTIFIER($merged) AS p

-- below: how many weights are less than those in the middle
SELECT count_if(p.weight < CAST($low AS FLOAT)) AS pairs FROM IDENTIFIER($merged) AS p

-- middle: the weights in the middle, and how many pairs have each
SELECT p.weight, count(*) AS pairs
FROM IDENTIFIER($merged) AS p
WHERE p.weight BETWEEN CAST($low AS FLOAT) AND CAST($high AS FLOAT)
GROUP BY p.weight
ORDER BY p.weight ASC

-- outliers: how many weights are over a limit
SELECT count_if(p.weight > $limit) AS pairs FROM IDENTIFIER($merged) AS p

-- pairs: with codes in place of ids
SELECT u.code AS user, i.code AS item, p.weight, p.last_time
FROM IDENTIFIER($merged) AS p
INNER JOIN IDENTIFIER($coded) AS u ON u.side = 'user' AND u.id = p.user_id
INNER JOIN IDENTIFIER($coded) AS i ON i.side = 'item' AND i.id = p.item_id

-- chunks: how many pairs so many codes in a row have
SELECT c.code DIV $width AS chunk, sum(c.pairs) AS pairs
FROM IDENTIFIER($coded) AS c
WHERE c.side = $side
GROUP BY 1
ORDER BY 1 ASC

-- names: the ids of a side by block; $blocks says which block a chunk of codes is in
SELECT
    CAST(element_at(split($blocks, ','), CAST(c.code DIV $width AS INT) + 1) AS INT) AS block,
    c.code,
    c.id,
    c.pairs
FROM IDENTIFIER($coded) AS c
WHERE c.side = $side

-- by_user: the pairs by block of users
SELECT
    CAST(element_at(split($blocks, ','), CAST(p.user DIV $width AS INT) + 1) AS INT) AS block,
    p.user AS row,
    p.item AS column,
    p.weight,
    p.last_time
FROM IDENTIFIER($pairs) AS p

-- by_item: the pairs by block of items
SELECT
    CAST(element_at(split($blocks, ','), CAST(p.item DIV $width AS INT) + 1) AS INT) AS block,
    p.item AS row,
    p.user AS column,
    p.weight,
    p.last_time
FROM IDENTIFIER($pairs) AS p

-- digests: what stands for the ids and the pairs of each block, and what the weights add up to
SELECT 1 AS part, u.block, u.digest, 0D AS weight FROM IDENTIFIER($user_names) AS u
UNION ALL
SELECT 2, i.block, i.digest, 0D FROM IDENTIFIER($item_names) AS i
UNION ALL
SELECT 3, m.block, m.digest, m.weight FROM IDENTIFIER($by_user) AS m
ORDER BY part ASC, block ASC

-- columns: which columns each block has
SELECT m.block, m.columns FROM IDENTIFIER($matrix) AS m

-- links: which rows of a block others need
SELECT l.block, l.destination, l.rows FROM IDENTIFIER($links) AS l

-- matrix: the pairs of each block
SELECT m.block, m.indptr, m.indices, m.columns, m.weights FROM IDENTIFIER($matrix) AS m

-- factors: the rows of each block
SELECT f.block, f.factors FROM IDENTIFIER($factors) AS f

-- own: the rows that each block starts from, as if they had come from block -1
SELECT f.block, -1 AS source, f.factors AS rows FROM IDENTIFIER($factors) AS f

-- figures: those of each block, of which there are a few
SELECT f.block, f.figures FROM IDENTIFIER($factors) AS f ORDER BY f.block ASC

-- residual_sums: the same of residuals
SELECT m.block, m.total, m.squares FROM IDENTIFIER($matrix) AS m ORDER BY m.block ASC

-- block_of_factors: the rows of one block
SELECT f.factors FROM IDENTIFIER($factors) AS f WHERE f.block = $block

-- block_of_names: the ids of one block, and how many pairs each has
SELECT n.ids, n.counts FROM IDENTIFIER($names) AS n WHERE n.block = $block

-- block_of_pairs: the pairs of one block of users
SELECT m.indptr, m.indices, m.columns, m.weights, m.times
FROM IDENTIFIER($matrix) AS m
WHERE m.block = $block

-- all_pairs: the pairs of each block, with their times
SELECT m.block, m.indptr, m.indices, m.columns, m.weights, m.times FROM IDENTIFIER($matrix) AS m

-- pairs_of_blocks: how many pairs each block has
SELECT m.block, octet_length(m.indices) DIV 4 AS pairs
FROM IDENTIFIER($matrix) AS m
ORDER BY m.block ASC

-- both_parts: the pairs of each block that are trained on, and those that are held out
SELECT m.block, m.indptr, m.indices, m.columns, m.weights, m.times, m.held_indptr, m.held_items
FROM IDENTIFIER($matrix) AS m

-- held_out: how many pairs each block has in both parts, and of whom
SELECT
    m.block,
    octet_length(m.indices) DIV 4 AS pairs,
    octet_length(m.held_items) DIV 4 AS held,
    m.weight,
    m.lengths,
    m.askers,
    m.facts
FROM IDENTIFIER($matrix) AS m
ORDER BY m.block ASC

-- row_ends: where the rows of each block begin and end
SELECT m.block, m.indptr FROM IDENTIFIER($matrix) AS m ORDER BY m.block ASC

-- catalog: the factors of all items, for each of so many blocks of users
SELECT u.block, i.block AS source, i.factors AS rows, CAST(NULL AS BINARY) AS biases
FROM IDENTIFIER($factors) AS i
LATERAL VIEW explode(sequence(1, $blocks)) u AS block

-- rated_catalog: the same with the biases of items
SELECT u.block, i.block AS source, i.factors AS rows, b.factors AS biases
FROM IDENTIFIER($factors) AS i
INNER JOIN IDENTIFIER($biases) AS b ON b.block = i.block
LATERAL VIEW explode(sequence(1, $blocks)) u AS block

-- own_vectors: the factors of each block's own users, as if they had come from block -1
SELECT f.block, -1 AS source, f.factors AS rows, CAST(NULL AS BINARY) AS biases
FROM IDENTIFIER($factors) AS f
