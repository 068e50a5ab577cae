-- The primitives every question is written with: the same names and the same answers on every engine.

-- A lambda of Spark's calls no SQL function of its own variables, and a SQL function takes no argument in which a lambda
-- is; none is an aggregate, and none takes lists of any type. What is wanted there is a MACRO: no statement of Spark's,
-- but a text that stands where it is called. Its parameters, and those of its lambdas, begin with an underscore.

CREATE MACRO embsql_internal.contains(_list, _element) AS array_contains(_list, _element);

CREATE MACRO embsql_internal.as_vector(_list) AS CAST(_list AS ARRAY<FLOAT>);

CREATE MACRO embsql_internal.as_double(_list) AS CAST(_list AS ARRAY<DOUBLE>);

CREATE MACRO embsql.vector_avg(_embedding) AS vector_avg(_embedding);

-- The inner product of any two lists of numbers, in double precision.
CREATE MACRO embsql_internal.dot(_a, _b) AS
    aggregate(zip_with(_a, _b, (_x, _y) -> CAST(_x AS DOUBLE) * _y), CAST(0 AS DOUBLE), (_sum, _one) -> _sum + _one);

CREATE MACRO embsql_internal.list_sum(_list) AS aggregate(_list, CAST(0 AS DOUBLE), (_sum, _one) -> _sum + _one);

CREATE MACRO embsql_internal.matvec_of(_vector, _matrix) AS transform(_matrix, _line -> embsql_internal.dot(_line, _vector));

-- A matrix is the list of its rows: x times the transpose of y.
CREATE MACRO embsql_internal.matmul_transposed(_x, _y) AS
    transform(_x, _of_x -> transform(_y, _of_y -> embsql_internal.dot(_of_x, _of_y)));

CREATE MACRO embsql_internal.transposed(_rows) AS
    transform(sequence(0, size(_rows[0]) - 1), _place -> transform(_rows, _row -> CAST(_row[_place] AS DOUBLE)));

CREATE MACRO embsql_internal.frobenius_norm_squared(_matrix) AS embsql_internal.list_sum(transform(_matrix, _line -> embsql_internal.dot(_line, _line)));

-- 1.5 I - 0.5 x x': what Newton and Schulz multiply x with.
CREATE MACRO embsql_internal.newton_schulz_step(_matrix) AS transform(
    embsql_internal.matmul_transposed(_matrix, _matrix),
    (_line, _i) -> transform(_line, (_entry, _j) -> CASE WHEN _i = _j THEN 1.5D ELSE 0D END - 0.5D * _entry)
);

CREATE MACRO embsql_internal.plus_scaled(_a, _factor, _b) AS zip_with(_a, _b, (_one, _other) -> _one + _factor * _other);

-- Vectors. A zero vector has no direction: its cosine is NULL, never a number.

CREATE OR REPLACE FUNCTION embsql.inner_product(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'The inner product of two vectors.'
RETURN vector_inner_product(a, b);

CREATE OR REPLACE FUNCTION embsql.vector_norm(a ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'The length of a vector.'
RETURN vector_norm(a);

-- Cosine from norms that are already known: what the embedding tables keep with every vector.
CREATE OR REPLACE FUNCTION embsql_internal.cosine(a ARRAY<FLOAT>, norm_a DOUBLE, b ARRAY<FLOAT>, norm_b DOUBLE) RETURNS DOUBLE
RETURN vector_inner_product(a, b) / nullif(norm_a * norm_b, 0);

CREATE OR REPLACE FUNCTION embsql.cosine_similarity(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'The cosine of the angle between two vectors; NULL where one is zero.'
RETURN vector_cosine_similarity(a, b);

CREATE OR REPLACE FUNCTION embsql.cosine_distance(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT '1 minus the cosine of the angle between two vectors; NULL where one is zero.'
RETURN 1 - vector_cosine_similarity(a, b);

CREATE OR REPLACE FUNCTION embsql.euclidean_distance(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'The Euclidean distance of two vectors.'
RETURN vector_l2_distance(a, b);

-- The vector's direction, a vector of length 1.
CREATE OR REPLACE FUNCTION embsql.unit_vector(a ARRAY<FLOAT>) RETURNS ARRAY<FLOAT>
COMMENT 'The vector of length 1 in the direction of a vector; NULL where it is zero.'
RETURN CASE WHEN vector_norm(a) > 0 THEN vector_normalize(a) END;

-- Spark has these; here they are by the name that they have on every engine.
CREATE OR REPLACE FUNCTION embsql.vector_inner_product(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'embsql.inner_product by Spark''s name.'
RETURN vector_inner_product(a, b);

CREATE OR REPLACE FUNCTION embsql.vector_cosine_similarity(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'embsql.cosine_similarity by Spark''s name.'
RETURN vector_cosine_similarity(a, b);

CREATE OR REPLACE FUNCTION embsql.vector_l2_distance(a ARRAY<FLOAT>, b ARRAY<FLOAT>) RETURNS FLOAT
COMMENT 'embsql.euclidean_distance by Spark''s name.'
RETURN vector_l2_distance(a, b);

-- Lists and text.

-- Ends the query with a message.
CREATE OR REPLACE FUNCTION embsql_internal.refuse(message STRING) RETURNS BIGINT
RETURN CAST(raise_error(concat('embsql: ', message)) AS BIGINT);

-- Two lists in one, as rows; what has no id is left out.
CREATE OR REPLACE FUNCTION embsql_internal.zip_lists(ids ARRAY<STRING>, labels ARRAY<STRING>)
RETURNS TABLE (id STRING, label STRING)
RETURN SELECT pair.one.ids, pair.one.labels
FROM (
    SELECT explode(CASE
        WHEN coalesce(size(zip_lists.ids), 0) = coalesce(size(zip_lists.labels), 0) THEN arrays_zip(zip_lists.ids, zip_lists.labels)
        ELSE CAST(raise_error(concat(
            'embsql: ', coalesce(size(zip_lists.ids), 0), ' ids with ', coalesce(size(zip_lists.labels), 0),
            ' labels: give every id one label, or NULL to leave it out'
        )) AS ARRAY<STRUCT<ids: STRING, labels: STRING>>)
    END) AS one
) AS pair
WHERE pair.one.ids IS NOT NULL;

CREATE OR REPLACE FUNCTION embsql_internal.four_decimals(value DOUBLE) RETURNS STRING
RETURN CASE WHEN value IS NOT NULL THEN format_string('%.4f', value) END;

CREATE OR REPLACE FUNCTION embsql_internal.x_ln_x(x DOUBLE) RETURNS DOUBLE
RETURN CASE WHEN x > 0 THEN x * ln(x) ELSE 0 END;

CREATE OR REPLACE FUNCTION embsql_internal.model_part(model STRING) RETURNS STRING
RETURN split_part(model, '@', 1);

CREATE OR REPLACE FUNCTION embsql_internal.run_part(model STRING) RETURNS BIGINT
RETURN CASE WHEN regexp_like(model, '^[^@]*@[0-9]{1,18}$') THEN CAST(split_part(model, '@', 2) AS BIGINT) END;

-- A caller's vector. One that holds NaN or infinity is near nothing and would come first: an error. So is one that is
-- so long that its products with others may be either.
CREATE OR REPLACE FUNCTION embsql_internal.finite_vector(a ARRAY<FLOAT>) RETURNS ARRAY<FLOAT>
RETURN CASE
    WHEN isnan(vector_inner_product(a, a)) OR vector_inner_product(a, a) = double('Infinity')
    THEN CAST(raise_error('embsql: the vector holds NaN or infinity, or is longer than 1.8e19') AS ARRAY<FLOAT>)
    ELSE a
END;

-- Why a name means no run. (embsql.live_run and embsql.newest_run: spark_derived.sql.)
CREATE OR REPLACE FUNCTION embsql_internal.raise_no_run(model STRING) RETURNS BIGINT
RETURN embsql_internal.refuse(CASE
    WHEN contains(model, '@') THEN concat(
        '"', model, '" has no published run to read. See: SELECT * FROM embsql.runs(''', embsql_internal.model_part(model), ''');'
    )
    ELSE concat('no model named "', coalesce(model, ''), '". See: SELECT * FROM embsql.models();')
END);

-- The question of this name among the names of all; NULL for NULL.
CREATE OR REPLACE FUNCTION embsql_internal.known_question(asked STRING, names ARRAY<STRING>) RETURNS STRING
RETURN CASE
    WHEN asked IS NULL OR array_contains(names, asked) THEN asked
    ELSE CAST(raise_error(concat(
        'embsql: no question named "', asked, '". See: SELECT question, example FROM embsql.help();'
    )) AS STRING)
END;

-- Ends the query with how to make a map or clustering that was asked for.
CREATE OR REPLACE FUNCTION embsql_internal.refuse_derived(
    model STRING, entity STRING, name STRING, what STRING, command STRING, option STRING
) RETURNS BIGINT
RETURN embsql_internal.refuse(concat(
    'model "', coalesce(model, ''), '" has no ', what, ' "', coalesce(name, ''), '" of its ', coalesce(entity, ''),
    's here. Make it where it is trained, CALL embsql.', command, '(''', coalesce(model, ''), ''', entity => ''',
    coalesce(entity, ''), ''', ', option, ' => ''', coalesce(name, ''), '''); and publish the run again'
));

-- How a user vector and an item vector make a score in a run: its dot product plus the biases, or the cosine.
CREATE OR REPLACE FUNCTION embsql_internal.run_score(
    similarity STRING, a ARRAY<FLOAT>, norm_a DOUBLE, bias_a DOUBLE, b ARRAY<FLOAT>, norm_b DOUBLE, bias_b DOUBLE
) RETURNS DOUBLE
RETURN CASE similarity
    WHEN 'cosine' THEN vector_inner_product(a, b) / nullif(norm_a * norm_b, 0)
    ELSE vector_inner_product(a, b) + bias_a + bias_b
END;

-- People and cohorts.

-- Users of a list, of those a run has a direction of: each once, with its vector at length 1.
CREATE OR REPLACE FUNCTION embsql_internal.known_users(run BIGINT, ids ARRAY<STRING>)
RETURNS TABLE (user_id STRING, direction ARRAY<FLOAT>)
RETURN SELECT u.user_id, embsql.unit_vector(u.embedding)
FROM embsql.user_embeddings AS u
WHERE u.run_id = known_users.run AND u.norm > 0 AND array_contains(known_users.ids, u.user_id);

-- Who a user is to a run: what was trained. Where a run is but published, nothing is watched.
CREATE OR REPLACE FUNCTION embsql_internal.user_state(run BIGINT, person STRING)
RETURNS TABLE (embedding ARRAY<FLOAT>, norm FLOAT, bias FLOAT, fresh_items ARRAY<STRING>, source STRING)
RETURN SELECT max_by(u.embedding, 1), max(u.norm), max(u.bias), CAST(array() AS ARRAY<STRING>), 'model'
FROM embsql.user_embeddings AS u
WHERE u.run_id = user_state.run AND u.user_id = user_state.person;

-- The users with events newer than a run: none.
CREATE OR REPLACE FUNCTION embsql_internal.fresh_users(run BIGINT)
RETURNS TABLE (user_id STRING, items ARRAY<STRING>, events BIGINT, newest_event BIGINT, embedding ARRAY<FLOAT>)
RETURN SELECT u.user_id, CAST(array() AS ARRAY<STRING>), 0L, 0L, u.embedding
FROM embsql.user_embeddings AS u
WHERE u.run_id = fresh_users.run AND FALSE;

-- How many rows that a run has not seen count for nothing.
CREATE OR REPLACE FUNCTION embsql_internal.refused_events(run BIGINT)
RETURNS BIGINT
RETURN CAST(0 AS BIGINT);

-- How many new pairs of user and item there are: none.
CREATE OR REPLACE FUNCTION embsql_internal.new_pairs(run BIGINT)
RETURNS BIGINT
RETURN CAST(0 AS BIGINT);

-- A time of an event as a moment in UTC; NULL beyond what has one.
CREATE MACRO embsql_internal.moment(_microseconds) AS CASE
    WHEN abs(_microseconds) < 200000000000000000
    THEN timestampadd(MICROSECOND, _microseconds, TIMESTAMP_NTZ '1970-01-01')
END;

-- Who is in the cohorts of a set, each once in each, with the direction a run has of them, or NULL.
CREATE OR REPLACE FUNCTION embsql_internal.cohort_members(run BIGINT, name STRING)
RETURNS TABLE (cohort STRING, user_id STRING, direction ARRAY<FLOAT>)
RETURN SELECT c.cohort, c.user_id, embsql.unit_vector(u.embedding)
FROM (
    SELECT DISTINCT cohort_members.run AS run_id, m.cohort, m.user_id
    FROM embsql.cohorts AS m
    WHERE m.cohort_set = cohort_members.name
) AS c
LEFT JOIN embsql.user_embeddings AS u ON u.run_id = c.run_id AND u.user_id = c.user_id AND u.norm > 0;

-- Two runs.

-- What both runs have a direction of, at length 1. ordinal puts each kind in an order that has nothing to do with the
-- vectors: the first so many are a fixed sample.
CREATE OR REPLACE FUNCTION embsql_internal.shared_vectors(run_a BIGINT, run_b BIGINT)
RETURNS TABLE (entity STRING, entity_id STRING, ordinal BIGINT, direction_a ARRAY<FLOAT>, direction_b ARRAY<FLOAT>)
RETURN WITH pair AS (
    SELECT 'item' AS entity, a.item_id AS entity_id, a.embedding AS embedding_a, b.embedding AS embedding_b
    FROM embsql.item_embeddings AS a
    JOIN embsql.item_embeddings AS b ON b.item_id = a.item_id
    WHERE a.run_id = shared_vectors.run_a AND b.run_id = shared_vectors.run_b AND a.norm > 0 AND b.norm > 0
    UNION ALL
    SELECT 'user', a.user_id, a.embedding, b.embedding
    FROM embsql.user_embeddings AS a
    JOIN embsql.user_embeddings AS b ON b.user_id = a.user_id
    WHERE a.run_id = shared_vectors.run_a AND b.run_id = shared_vectors.run_b AND a.norm > 0 AND b.norm > 0
)
SELECT
    pair.entity,
    pair.entity_id,
    row_number() OVER (PARTITION BY pair.entity ORDER BY md5(pair.entity_id) ASC),
    embsql.unit_vector(pair.embedding_a),
    embsql.unit_vector(pair.embedding_b)
FROM pair;

CREATE OR REPLACE FUNCTION embsql_internal.matvec(a ARRAY<FLOAT>, matrix ARRAY<ARRAY<FLOAT>>) RETURNS ARRAY<FLOAT>
RETURN CAST(embsql_internal.matvec_of(a, matrix) AS ARRAY<FLOAT>);

-- The matrix that turns vectors of one run onto those of another: as in duckdb.sql, which says how, but that the
-- rounds are those of a fold.
CREATE OR REPLACE FUNCTION embsql_internal.turning(across ARRAY<ARRAY<DOUBLE>>) RETURNS ARRAY<ARRAY<DOUBLE>>
RETURN aggregate(
    sequence(1, 60),
    named_struct('m', embsql_internal.transposed(across), 'across', across, 'before', 0D, 'moves', TRUE),
    (state, round) -> CASE
        WHEN NOT state.moves OR embsql_internal.frobenius_norm_squared(state.m) <= state.before + 1e-6D
        THEN named_struct('m', state.m, 'across', state.across, 'before', state.before, 'moves', FALSE)
        ELSE named_struct(
            'm', embsql_internal.matmul_transposed(embsql_internal.newton_schulz_step(state.m), state.across),
            'across', embsql_internal.matmul_transposed(state.across, embsql_internal.newton_schulz_step(state.m)),
            'before', embsql_internal.frobenius_norm_squared(state.m),
            'moves', TRUE
        )
    END,
    state -> state.m
);

CREATE OR REPLACE FUNCTION embsql_internal.alignment(run_a BIGINT, run_b BIGINT) RETURNS TABLE (matrix ARRAY<ARRAY<FLOAT>>)
RETURN WITH anchor AS (
    SELECT array_sort(collect_list(
        struct(s.entity AS entity, s.ordinal AS ordinal, s.direction_a AS direction_a, s.direction_b AS direction_b)
    )) AS pairs
    FROM embsql_internal.shared_vectors(alignment.run_a, alignment.run_b) AS s
    WHERE s.ordinal <= 5000
),
columns_of AS (
    SELECT
        embsql_internal.transposed(anchor.pairs.direction_a) AS columns_a, embsql_internal.transposed(anchor.pairs.direction_b) AS columns_b
    FROM anchor
    WHERE size(anchor.pairs) > 0
),
crossed AS (
    SELECT embsql_internal.matmul_transposed(c.columns_a, c.columns_b) AS across FROM columns_of AS c
),
scaled AS (
    SELECT transform(c.across, line -> transform(line, entry -> entry / c.size)) AS across
    FROM (
        SELECT crossed.across, coalesce(nullif(sqrt(embsql_internal.frobenius_norm_squared(crossed.across)), 0), 1) AS size FROM crossed
    ) AS c
)
SELECT CAST(embsql_internal.turning(s.across) AS ARRAY<ARRAY<FLOAT>>) FROM scaled AS s;

-- Folding in: the user vector of a history, as the run's training would make it; duckdb.sql says what the columns are.

CREATE OR REPLACE FUNCTION embsql_internal.fold_in_system(of_run BIGINT, asked ARRAY<STRING>, amounts ARRAY<DOUBLE>)
RETURNS TABLE (
    kind STRING, bias DOUBLE, ids ARRAY<STRING>, weights ARRAY<DOUBLE>, vectors ARRAY<ARRAY<DOUBLE>>, curves ARRAY<DOUBLE>,
    pulls ARRAY<DOUBLE>, unobserved_weight DOUBLE, ridge DOUBLE, gram ARRAY<ARRAY<DOUBLE>>
)
RETURN WITH lists AS (
    SELECT fold_in_system.of_run AS run_id, fold_in_system.asked AS items, fold_in_system.amounts AS weights
),
checked AS ( -- lists of different lengths are an error, and so is a weight that is not finite
    SELECT
        lists.run_id,
        lists.items,
        CASE
            WHEN coalesce(size(lists.items), 0) <> size(lists.weights) THEN CAST(raise_error(concat(
                'embsql: ', coalesce(size(lists.items), 0), ' items with ', size(lists.weights),
                ' weights: give every item one weight, or none at all'
            )) AS ARRAY<DOUBLE>)
            WHEN array_max(lists.weights) > 3e38D OR array_min(lists.weights) < -3e38D THEN CAST(raise_error(concat(
                'embsql: the list of weights holds NaN or infinity, or a number beyond those (',
                CASE WHEN array_max(lists.weights) > 3e38D THEN array_max(lists.weights) ELSE array_min(lists.weights) END,
                '): a weight is finite, at most 3e38' -- NaN is more than any number
            )) AS ARRAY<DOUBLE>)
            ELSE lists.weights
        END AS weights
    FROM lists
),
paired AS (
    SELECT
        record.run_id, coalesce(solver.kind, 'mean') AS kind, record.items AS n_items, checked.weights IS NULL AS unweighted,
        from_json(
            solver.settings,
            'global_mean DOUBLE, bias_damping DOUBLE, default_rating DOUBLE, weight_scale DOUBLE, confidence_offset DOUBLE,
             confidence_scale DOUBLE, target_offset DOUBLE, unobserved_weight DOUBLE, reg DOUBLE, reg_exponent DOUBLE, n_columns DOUBLE'
        ) AS n,
        explode(zip_with(
            checked.items, coalesce(checked.weights, array()), (item, weight) -> struct(item AS item_id, weight AS weight)
        )) AS one
    FROM checked
    JOIN embsql.run_records AS record ON record.run_id = checked.run_id
    LEFT JOIN embsql.fold_in_settings AS solver ON solver.run_id = record.run_id
),
spread AS (
    SELECT paired.run_id, paired.kind, paired.n_items, paired.unweighted, paired.n, paired.one.item_id, paired.one.weight
    FROM paired
),
weighed AS ( -- as in training: without a weight only where there are none, of 0 or less only where weights are ratings
    SELECT spread.*
    FROM spread
    WHERE CASE
        WHEN spread.weight IS NULL THEN spread.unweighted
        WHEN spread.n.global_mean IS NOT NULL THEN TRUE
        WHEN spread.weight < 0 THEN embsql_internal.refuse(concat(
            'item "', coalesce(spread.item_id, 'NULL'), '" has the negative weight ', spread.weight,
            ', and this model was not trained on ratings: leave the item out, or give a weight of 0 or more'
        )) = 0
        ELSE spread.weight > 0
    END
),
collected AS ( -- bare are the times an item is given without a weight
    SELECT
        weighed.item_id, any_value(weighed.run_id) AS run_id, any_value(weighed.kind) AS kind, any_value(weighed.n_items) AS n_items,
        any_value(weighed.n) AS n, coalesce(sum(weighed.weight), 0) AS total, count(*) AS times,
        count(*) - count(weighed.weight) AS bare
    FROM weighed
    GROUP BY weighed.item_id
),
known AS ( -- an item given twice counts with both weights, one rated twice with the mean
    SELECT
        collected.run_id, collected.kind, collected.n_items, collected.n, collected.item_id, item.embedding, item.bias,
        coalesce(part.scale, 1) AS item_scale,
        CAST((collected.total + collected.bare * coalesce(collected.n.default_rating, 1))
            / CASE WHEN collected.n.global_mean IS NULL THEN 1 ELSE collected.times END AS DOUBLE) AS weight
    FROM collected
    JOIN embsql.item_embeddings AS item ON item.run_id = collected.run_id AND item.item_id = collected.item_id
    LEFT JOIN embsql.item_weights AS part ON part.run_id = item.run_id AND part.item_id = item.item_id
),
gathered AS (
    SELECT
        any_value(known.run_id) AS run_id, any_value(known.kind) AS kind, any_value(known.n_items) AS n_items, any_value(known.n) AS n,
        array_sort(collect_list(struct(
            known.item_id AS id,
            known.weight AS weight,
            -- what a rating leaves to the user and the vectors; the weight itself where nothing was rated
            known.weight * known.item_scale - coalesce(known.n.global_mean + known.bias, 0) AS rest,
            CAST(known.embedding AS ARRAY<DOUBLE>) AS vector
        ))) AS parts
    FROM known
),
person AS (
    SELECT
        gathered.*,
        coalesce(
            embsql_internal.list_sum(gathered.parts.rest) / nullif(size(gathered.parts.rest) + gathered.n.bias_damping, 0), 0
        ) AS own,
        coalesce(gathered.n.weight_scale, 1)
            / CASE WHEN gathered.kind = 'mean' THEN nullif(embsql_internal.list_sum(gathered.parts.weight), 0) ELSE 1 END AS share
    FROM gathered
),
evidence AS (
    SELECT
        person.*,
        transform(
            person.parts.rest,
            rest -> coalesce(person.n.confidence_offset, 0) + coalesce(person.n.confidence_scale, 0) * person.share * (rest - person.own)
        ) AS curves
    FROM person
    WHERE person.kind IS NOT NULL AND person.share IS NOT NULL
),
gramian AS (
    SELECT
        line.run_id,
        array_sort(collect_list(struct(line.position AS position, CAST(line.entries AS ARRAY<DOUBLE>) AS entries))).entries AS lines
    FROM embsql.item_gramian AS line
    GROUP BY line.run_id
)
SELECT
    evidence.kind, evidence.own + coalesce(evidence.n.global_mean, 0), evidence.parts.id, evidence.parts.weight,
    evidence.parts.vector, evidence.curves,
    transform(
        evidence.parts.rest, rest -> coalesce(evidence.n.target_offset, 0) + evidence.share * (rest - evidence.own)
    ),
    evidence.n.unobserved_weight,
    evidence.n.reg
        * pow(
            embsql_internal.list_sum(evidence.curves) + evidence.n.unobserved_weight * coalesce(evidence.n.n_columns, evidence.n_items),
            evidence.n.reg_exponent
        ),
    gramian.lines
FROM evidence
LEFT JOIN gramian ON gramian.run_id = evidence.run_id;

-- The sum of amounts * vectors.
CREATE OR REPLACE FUNCTION embsql_internal.weighted_sum(vectors ARRAY<ARRAY<DOUBLE>>, amounts ARRAY<DOUBLE>) RETURNS ARRAY<DOUBLE>
RETURN CASE WHEN size(vectors) > 0 THEN embsql_internal.matvec_of(amounts, embsql_internal.transposed(vectors)) END;

-- A times p, A being the matrix of embsql.fold_in_system, which is never formed, and columns its vectors transposed.
CREATE MACRO embsql_internal.system_product(_gram, _unobserved_weight, _ridge, _vectors, _columns, _curves, _p) AS transform(
    array(zip_with(_vectors, _curves, (_vector, _curve) -> _curve * embsql_internal.dot(_vector, _p))),
    _seen -> zip_with(
        zip_with(_gram, _p, (_line, _entry) -> _unobserved_weight * embsql_internal.dot(_line, _p) + _ridge * _entry),
        _columns, (_one, _column) -> _one + embsql_internal.dot(_column, _seen)
    )
)[0];

-- One step of conjugate gradients, q being A times state.p. (A list of one is how a lambda names a value.)
CREATE MACRO embsql_internal.conjugate_step(_state, _q) AS transform(
    array(embsql_internal.plus_scaled(_state.r, -_state.size / embsql_internal.dot(_state.p, _q), _q)),
    _r -> named_struct(
        'x', embsql_internal.plus_scaled(_state.x, _state.size / embsql_internal.dot(_state.p, _q), _state.p),
        'r', _r,
        'p', embsql_internal.plus_scaled(_r, embsql_internal.dot(_r, _r) / _state.size, _state.p),
        'size', embsql_internal.dot(_r, _r)
    )
)[0];

-- x of A x = b by conjugate gradients, from x = 0 until what is left of b is a millionth of it, or four times as many
-- steps as b is long: rounding wants more.
CREATE MACRO embsql_internal.conjugate_gradients(_gram, _unobserved_weight, _ridge, _vectors, _columns, _curves, _b, _enough) AS aggregate(
    sequence(1, 4 * size(_b)),
    named_struct('x', transform(_b, _entry -> 0D), 'r', _b, 'p', _b, 'size', embsql_internal.dot(_b, _b)),
    (_state, _step) -> CASE
        WHEN _state.size > _enough THEN transform(
            array(embsql_internal.system_product(_gram, _unobserved_weight, _ridge, _vectors, _columns, _curves, _state.p)),
            _q -> embsql_internal.conjugate_step(_state, _q)
        )[0]
        ELSE _state
    END,
    _state -> _state.x
);

-- x of A x = b, A being the matrix of embsql.fold_in_system.
CREATE OR REPLACE FUNCTION embsql_internal.solve(
    gram ARRAY<ARRAY<DOUBLE>>, unobserved_weight DOUBLE, ridge DOUBLE, vectors ARRAY<ARRAY<DOUBLE>>, curves ARRAY<DOUBLE>,
    b ARRAY<DOUBLE>
) RETURNS ARRAY<DOUBLE>
RETURN CASE
    WHEN gram IS NULL OR vectors IS NULL OR b IS NULL THEN b
    ELSE transform(
        array(embsql_internal.transposed(vectors)),
        columns -> embsql_internal.conjugate_gradients(
            gram, unobserved_weight, ridge, vectors, columns, curves, b, 1e-12D * embsql_internal.dot(b, b)
        )
    )[0]
END;

-- The user vector of a history, in one row: folded in, for Spark evaluates no networks. NULL where
-- no item is known.
CREATE OR REPLACE FUNCTION embsql_internal.history_vector(
    of_run BIGINT, asked ARRAY<STRING>, amounts ARRAY<DOUBLE>, moments ARRAY<TIMESTAMP_NTZ>
)
RETURNS TABLE (embedding ARRAY<FLOAT>, bias DOUBLE, source STRING)
RETURN WITH past AS (
    SELECT
        system.gram, system.unobserved_weight, system.ridge, system.vectors, system.curves, system.bias,
        embsql_internal.weighted_sum(system.vectors, system.pulls) AS pulled
    FROM embsql_internal.fold_in_system(
        history_vector.of_run, history_vector.asked, history_vector.amounts
    ) AS system
)
SELECT
    CAST(embsql_internal.solve(
        past.gram, past.unobserved_weight, past.ridge, past.vectors, past.curves, past.pulled
    ) AS ARRAY<FLOAT>),
    past.bias, 'fold_in'
FROM past;

-- Towers: the vector of a newcomer, of what is known of them, as the run's tower would make it (embsql.tower_features).

-- A number as it is written, in days since 1970 for a time.
CREATE OR REPLACE FUNCTION embsql_internal.tower_number(kind STRING, word STRING) RETURNS DOUBLE
RETURN CASE kind
    WHEN 'time' THEN timestampdiff(MICROSECOND, TIMESTAMP_NTZ '1970-01-01', CAST(word AS TIMESTAMP_NTZ)) / 86400e6D
    ELSE CAST(word AS DOUBLE)
END;

-- What is said of a feature, as a list: several tags or items, the words of a text, one of all else.
CREATE MACRO embsql_internal.feature_tokens(_kind, _said) AS CASE
    WHEN _kind = 'text' THEN split(lower(_said), '[ \\t\\n\\r!-/:-@\\[-`{-~]+')
    WHEN _kind IN ('tags', 'items') AND startswith(_said, '[') THEN from_json(_said, 'ARRAY<STRING>')
    ELSE array(_said)
END;

-- What a run's tower knows, by what it knows of each feature as a whole.
CREATE OR REPLACE FUNCTION embsql_internal.known_features(of_run BIGINT, side STRING)
RETURNS TABLE (feature STRING, kind STRING, embedding ARRAY<FLOAT>)
RETURN SELECT part.feature, part.kind, part.embedding
FROM embsql.tower_features AS part
WHERE part.run_id = known_features.of_run AND part.entity = known_features.side AND part.value IS NULL;

-- The features as a map. Raises for a run without this tower, for what is no JSON object, and for a name the tower does
-- not know; that of the id may stand there.
CREATE OR REPLACE FUNCTION embsql_internal.checked_features(
    of_run BIGINT, side STRING, features STRING, known ARRAY<STRING>
) RETURNS MAP<STRING, STRING>
RETURN CASE
    WHEN size(known) = 0 THEN CAST(raise_error(concat(
        'embsql: run ', of_run, ' makes no ', side, ' vectors of features. Train two_tower with ', side,
        '_features => ''SELECT ', side, '_id, ...'''
    )) AS MAP<STRING, STRING>)
    WHEN features IS NULL THEN NULL
    WHEN json_object_keys(features) IS NULL THEN CAST(raise_error(concat(
        'embsql: features must be a JSON object, for example {"country": "DE", "age": 31}, got ', features
    )) AS MAP<STRING, STRING>)
    WHEN size(array_except(json_object_keys(features), array_append(known, concat(side, '_id')))) > 0
    THEN CAST(raise_error(concat(
        'embsql: this model knows no ', side, ' feature "',
        array_min(array_except(json_object_keys(features), array_append(known, concat(side, '_id')))),
        '". It knows: ', array_join(array_sort(array_remove(known, '')), ', ')
    )) AS MAP<STRING, STRING>)
    ELSE from_json(features, 'MAP<STRING, STRING>')
END;

-- The vector of features (a JSON object) in one row, and how many of them the tower knew the value of.
CREATE OR REPLACE FUNCTION embsql_internal.tower(of_run BIGINT, side STRING, features STRING)
RETURNS TABLE (embedding ARRAY<FLOAT>, known BIGINT)
RETURN WITH asked AS (
    SELECT tower.of_run AS run_id, tower.side AS side, tower.features AS features
),
names AS (
    SELECT collect_list(k.feature) AS known FROM embsql_internal.known_features(tower.of_run, tower.side) AS k
),
given AS (
    SELECT embsql_internal.checked_features(asked.run_id, asked.side, asked.features, names.known) AS said FROM asked CROSS JOIN names
),
declared AS (
    SELECT k.feature, k.kind, k.embedding, try_element_at(given.said, k.feature) AS said
    FROM embsql_internal.known_features(tower.of_run, tower.side) AS k
    CROSS JOIN given
),
words AS (
    SELECT
        declared.feature, declared.kind,
        array_distinct(array_compact(embsql_internal.feature_tokens(declared.kind, declared.said))) AS words
    FROM declared
),
weighed AS ( -- what is known of each word, and the row without a value, which counts where nothing is
    SELECT
        words.feature, words.kind, words.words, part.value, part.embedding, part.center, part.scale,
        count(part.value) OVER alike AS found
    FROM words
    CROSS JOIN asked
    JOIN embsql.tower_features AS part
        ON part.run_id = asked.run_id AND part.entity = asked.side AND part.feature = words.feature
        AND (part.value IS NULL OR array_contains(
            CASE WHEN words.kind IN ('number', 'time') THEN array_repeat('', size(words.words)) ELSE words.words END, part.value
        ))
    WINDOW alike AS (PARTITION BY words.feature)
),
parts AS (
    SELECT
        weighed.feature, weighed.embedding,
        CAST(CASE
            WHEN weighed.value IS NULL THEN NULL
            WHEN weighed.kind IN ('number', 'time') THEN greatest(
                -4, least(4, (embsql_internal.tower_number(weighed.kind, weighed.words[0]) - weighed.center) / weighed.scale)
            )
            WHEN weighed.kind = 'items' THEN 1 / weighed.found
            ELSE 1 / sqrt(weighed.found)
        END AS DOUBLE) AS factor
    FROM weighed
    WHERE weighed.value IS NOT NULL OR weighed.found = 0
),
entries AS (
    SELECT parts.feature, parts.factor, posexplode(parts.embedding) AS (ordinal, entry) FROM parts
),
sums AS (
    SELECT
        entries.feature, entries.ordinal, count(entries.factor) AS found,
        coalesce(sum(entries.factor * entries.entry), max(entries.entry)) AS entry
    FROM entries
    GROUP BY entries.feature, entries.ordinal
),
totals AS (
    SELECT sums.ordinal, sum(sums.entry) AS entry, count_if(sums.found > 0) AS known FROM sums GROUP BY sums.ordinal
),
lowest AS (
    SELECT array_sort(collect_list(struct(totals.ordinal AS ordinal, totals.entry AS entry))).entry AS x, max(totals.known) AS known
    FROM totals
),
layers AS (
    SELECT array_sort(collect_list(struct(one.layer AS layer, one.lines AS lines))).lines AS above
    FROM (
        SELECT
            line.layer,
            array_sort(collect_list(struct(line.position AS position, line.weights AS weights, line.bias AS bias))) AS lines
        FROM asked
        JOIN embsql.tower_layers AS line ON line.run_id = asked.run_id AND line.entity = asked.side
        GROUP BY line.layer
    ) AS one
),
made AS (
    SELECT
        CAST(aggregate(
            layers.above,
            lowest.x,
            (x, lines) -> transform(
                lines, line -> embsql_internal.dot(line.weights, transform(x, number -> greatest(number, 0D))) + line.bias
            )
        ) AS ARRAY<FLOAT>) AS x,
        lowest.known
    FROM lowest
    CROSS JOIN layers
)
SELECT CASE run.similarity WHEN 'cosine' THEN embsql.unit_vector(made.x) ELSE made.x END, made.known
FROM made
CROSS JOIN asked
JOIN embsql.run_records AS run ON run.run_id = asked.run_id;
