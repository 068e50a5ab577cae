-- source_summary: the source in one pass: what is missing, what cannot be, what is strange
SELECT
    count(*) AS rows,
    count(*) - count(this.user_key) AS no_user,
    count(*) - count(this.item_key) AS no_item,
    count(*) - count(this.weight) AS null_weight,
    count(*) FILTER (WHERE abs(this.weight) < 1e-37) AS zero_weight,
    count(*) FILTER (WHERE this.weight < 0) AS negative,
    min(CASE WHEN this.weight < 0 THEN
        'user ' || CAST(this.user_key AS VARCHAR) || ', item ' || CAST(this.item_key AS VARCHAR)
        || ', weight ' || CAST(this.weight AS VARCHAR)
    END) AS negative_example,
    count(*) FILTER (WHERE NOT isfinite(this.weight) OR abs(this.weight) > 3e38) AS infinite,
    min(CASE WHEN NOT isfinite(this.weight) OR abs(this.weight) > 3e38 THEN
        'user ' || CAST(this.user_key AS VARCHAR) || ', item ' || CAST(this.item_key AS VARCHAR)
        || ', weight ' || CAST(this.weight AS VARCHAR)
    END) AS infinite_example,
    count(*) - count(this.event_time) AS null_time,
    count(*) FILTER (WHERE this.event_time > $now) AS future_time
FROM embsql_source AS this

-- labeled: a SELECT of ids and their categories in place of interactions, each pair once
CREATE OR REPLACE TEMP VIEW embsql_kept AS
SELECT DISTINCT CAST(this.user_key AS VARCHAR) COLLATE C AS entity_id, CAST(this.item_key AS VARCHAR) COLLATE C AS label
FROM embsql_source AS this
WHERE this.user_key IS NOT NULL AND this.item_key IS NOT NULL

-- labels: those pairs
SELECT this.entity_id, this.label FROM embsql_kept AS this

-- users: the vocabulary in order
SELECT this.id FROM embsql_users AS this ORDER BY this.code ASC

-- items: the vocabulary in order
SELECT this.id FROM embsql_items AS this ORDER BY this.code ASC

-- pairs: one row per usable row of the source, as codes
SELECT "user".code AS "user", item.code AS item, CAST(this.weight AS DOUBLE) AS weight, CAST(this.event_time AS BIGINT) AS event_time
FROM embsql_kept AS this
JOIN embsql_users AS "user" ON "user".key = this.user_key
JOIN embsql_items AS item ON item.key = this.item_key

-- events: the same, every user's in order: by time, of equal times as the source gave them
SELECT "user".code AS "user", item.code AS item, CAST(this.weight AS DOUBLE) AS weight, CAST(this.event_time AS BIGINT) AS event_time
FROM embsql_kept AS this
JOIN embsql_users AS "user" ON "user".key = this.user_key
JOIN embsql_items AS item ON item.key = this.item_key
ORDER BY "user".code ASC, this.event_time ASC NULLS FIRST, this.arrival ASC

-- alike_users: ids that differ only by case or by spaces around them
SELECT count(*) AS groups, min(twins.example) AS example
FROM (
    SELECT '"' || min(this.id) || '" and "' || max(this.id) || '"' AS example
    FROM embsql_users AS this WHERE typeof(this.key) = 'VARCHAR'  -- numbers are never alike
    GROUP BY lower(trim(this.id)) HAVING count(*) > 1
) AS twins

-- alike_items: ids that differ only by case or by spaces around them
SELECT count(*) AS groups, min(twins.example) AS example
FROM (
    SELECT '"' || min(this.id) || '" and "' || max(this.id) || '"' AS example
    FROM embsql_items AS this WHERE typeof(this.key) = 'VARCHAR'  -- numbers are never alike
    GROUP BY lower(trim(this.id)) HAVING count(*) > 1
) AS twins
