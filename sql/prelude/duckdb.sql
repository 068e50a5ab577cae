-- The primitives every question is written with: the same names and the same answers on every engine.

-- Vectors. A zero vector has no direction: its cosine is NULL, never a number.

CREATE OR REPLACE MACRO embsql.inner_product(a, b) AS list_inner_product(a, b);

CREATE OR REPLACE MACRO embsql.vector_norm(a) AS sqrt(list_inner_product(a, a));

-- Cosine from norms that are already known: what the embedding tables keep beside every vector.
CREATE OR REPLACE MACRO embsql.cosine(a, norm_a, b, norm_b) AS
    list_inner_product(a, b) / nullif(norm_a * norm_b, 0);

CREATE OR REPLACE MACRO embsql.cosine_similarity(a, b) AS
    list_inner_product(a, b) / nullif(sqrt(list_inner_product(a, a)) * sqrt(list_inner_product(b, b)), 0);

CREATE OR REPLACE MACRO embsql.cosine_distance(a, b) AS
    1 - list_inner_product(a, b) / nullif(sqrt(list_inner_product(a, a)) * sqrt(list_inner_product(b, b)), 0);

-- Lists, text and time.

CREATE OR REPLACE MACRO embsql.contains(list, element) AS list_contains(list, element);

CREATE OR REPLACE MACRO embsql.four_decimals(value) AS printf('%.4f', value);

CREATE OR REPLACE MACRO embsql.utc_now() AS make_timestamp(epoch_us(now()));

CREATE OR REPLACE MACRO embsql.model_part(model) AS split_part(model, '@', 1);

CREATE OR REPLACE MACRO embsql.run_part(model) AS TRY_CAST(nullif(split_part(model, '@', 2), '') AS BIGINT);

-- Which run a model's name means.

CREATE OR REPLACE MACRO embsql.unknown_model(model) AS error(
    'embsql: no model named "' || coalesce(embsql.model_part(model), '') || '".'
    || coalesce(' Did you mean "' || (
        SELECT m.model_name
        FROM embsql.models AS m
        WHERE jaro_winkler_similarity(m.model_name, embsql.model_part(model)) > 0.8
        ORDER BY jaro_winkler_similarity(m.model_name, embsql.model_part(model)) DESC, m.model_name
        LIMIT 1
    ) || '"?', '')
    || ' See: SELECT * FROM embsql.models();'
);

CREATE OR REPLACE MACRO embsql.no_such_run(model) AS CASE
    WHEN EXISTS (SELECT 1 FROM embsql.models AS m WHERE m.model_name = embsql.model_part(model))
    THEN error('embsql: "' || model || '" has no finished run to read. See: SELECT * FROM embsql.runs('''
               || embsql.model_part(model) || ''');')
    ELSE embsql.unknown_model(model)
END;

-- 'shop' is the live run, 'shop@7' is run 7 of shop. Anything else raises and says what to do.
-- (A subquery of its own, so that it is evaluated, and raises, even when the tables around it are empty.)
CREATE OR REPLACE MACRO embsql.live_run(model) AS (SELECT coalesce(
    CASE WHEN strpos(model, '@') = 0 THEN (
        SELECT m.live_run FROM embsql.models AS m WHERE m.model_name = model
    ) ELSE (
        SELECT r.run_id
        FROM embsql.runs AS r
        WHERE r.run_id = embsql.run_part(model) AND r.model_name = embsql.model_part(model) AND r.status = 'ready'
    ) END,
    embsql.no_such_run(model)
));

-- The newest run whatever its state, so that a log can be read while it is written.
CREATE OR REPLACE MACRO embsql.newest_run(model) AS (SELECT coalesce(
    (
        SELECT r.run_id
        FROM embsql.runs AS r
        WHERE r.model_name = embsql.model_part(model)
          AND (strpos(model, '@') = 0 OR r.run_id = embsql.run_part(model))
        ORDER BY r.run_id DESC
        LIMIT 1
    ),
    embsql.no_such_run(model)
));

-- How a user vector and an item vector make a score in a run: its dot product plus the biases, or the cosine.
CREATE OR REPLACE MACRO embsql.run_score(similarity, a, norm_a, bias_a, b, norm_b, bias_b) AS
    CASE similarity
        WHEN 'cosine' THEN list_inner_product(a, b) / nullif(norm_a * norm_b, 0)
        ELSE list_inner_product(a, b) + bias_a + bias_b
    END;
