-- The primitives every question is written with: the same names and the same answers on every engine.

-- Vectors. A zero vector has no direction: its cosine is NULL, never a number.

CREATE OR REPLACE MACRO embsql.inner_product(a, b) AS list_inner_product(a, b);

-- In double precision, in which no square of a float is 0 or infinite.
CREATE OR REPLACE MACRO embsql.vector_norm(a) AS
    sqrt(list_inner_product(CAST(a AS DOUBLE[]), CAST(a AS DOUBLE[])));

-- Cosine from norms that are already known: what the embedding tables keep with every vector.
CREATE OR REPLACE MACRO embsql_internal.cosine(a, norm_a, b, norm_b) AS
    list_inner_product(a, b) / nullif(norm_a * norm_b, 0);

CREATE OR REPLACE MACRO embsql.cosine_similarity(a, b) AS
    list_inner_product(a, b) / nullif(sqrt(list_inner_product(a, a)) * sqrt(list_inner_product(b, b)), 0);

CREATE OR REPLACE MACRO embsql.cosine_distance(a, b) AS
    1 - list_inner_product(a, b) / nullif(sqrt(list_inner_product(a, a)) * sqrt(list_inner_product(b, b)), 0);

CREATE OR REPLACE MACRO embsql.euclidean_distance(a, b) AS list_distance(a, b);

-- The vector's direction, a vector of length 1.
CREATE OR REPLACE MACRO embsql.unit_vector(a) AS CASE
    WHEN list_inner_product(a, a) > 0
    THEN list_transform(a, lambda x: CAST(x / sqrt(list_inner_product(a, a)) AS FLOAT))
END;

-- The same under Spark's names. Vectors of different lengths are an error.
CREATE OR REPLACE MACRO embsql.vector_inner_product(a, b) AS list_inner_product(a, b);

CREATE OR REPLACE MACRO embsql.vector_cosine_similarity(a, b) AS
    list_inner_product(a, b) / nullif(sqrt(list_inner_product(a, a)) * sqrt(list_inner_product(b, b)), 0);

CREATE OR REPLACE MACRO embsql.vector_l2_distance(a, b) AS list_distance(a, b);

-- The mean of a column of vectors. A macro is an aggregate when it expands to aggregates; the struct carries them past
-- the lambdas, which may hold none. Added up in double precision.
CREATE OR REPLACE MACRO embsql.vector_avg(embedding) AS list_transform(
    [struct_pack(
        vectors := list(CAST(embedding AS DOUBLE[])) FILTER (WHERE embedding IS NOT NULL),
        shortest := min(len(embedding)),
        longest := max(len(embedding))
    )],
    lambda column_of: CASE
        WHEN column_of.shortest < column_of.longest THEN [CAST(embsql_internal.refuse('the vectors have different lengths') AS FLOAT)]
        ELSE list_transform(
            list_reduce(
                column_of.vectors, lambda a, b: list_transform(list_zip(a, b), lambda pair: pair[1] + pair[2])
            ),
            lambda total: CAST(total / len(column_of.vectors) AS FLOAT)
        )
    END
)[1];

-- Lists, text and time.

-- Two lists side by side, as rows; what has no id is left out.
CREATE OR REPLACE MACRO embsql_internal.zip_lists(ids, labels) AS TABLE
SELECT pair.id, pair.label
FROM (
    SELECT
        unnest(CASE WHEN coalesce(len(ids), 0) = coalesce(len(labels), 0) THEN ids ELSE [CAST(embsql_internal.refuse(
            coalesce(len(ids), 0) || ' ids with ' || coalesce(len(labels), 0)
            || ' labels: give every id one label, or NULL to leave it out'
        ) AS VARCHAR)] END) AS id,
        unnest(labels) AS label
) AS pair
WHERE pair.id IS NOT NULL;

CREATE OR REPLACE MACRO embsql_internal.contains(list, element) AS list_contains(list, element);

-- An id of any type as text, by the rule of a source's ids (embsql/engines/duckdb_columns.py): what is equal is one.
-- Every function here is planned with each call of each question, so they are few.
CREATE OR REPLACE MACRO embsql_internal.as_id(word, type) AS CASE
    WHEN type IN ('DOUBLE', 'FLOAT') THEN CASE
        WHEN abs(TRY_CAST(word AS DOUBLE)) < CASE type WHEN 'FLOAT' THEN 16777216 ELSE 9007199254740992 END
        THEN regexp_replace(regexp_replace(word, '[.]0$', ''), '^-0$', '0')
        WHEN word <> 'nan' THEN CAST(embsql_internal.refuse(format(
            'the id {} is a floating-point number, where whole numbers are not told apart from {} on: '
            || 'give it as text or BIGINT',
            word, CASE type WHEN 'FLOAT' THEN 16777216 ELSE 9007199254740992 END
        )) AS VARCHAR)
    END
    WHEN starts_with(type, 'DECIMAL') THEN
        regexp_replace(regexp_replace(regexp_replace(word, '^(-?)[.]', '\10.'), '([.][0-9]*?)0+$', '\1'), '[.]$', '')
    WHEN type IN ('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ_NS') THEN
        CAST(make_timestamp(epoch_us(TRY_CAST(word AS TIMESTAMPTZ))) AS VARCHAR) || '+00'
    WHEN type = 'BLOB' THEN lower(hex(TRY_CAST(word AS BLOB)))
    WHEN type = 'JSON' THEN TRY_CAST(word AS JSON) ->> '$'
    ELSE word
END;

CREATE OR REPLACE MACRO embsql.id_text(id) AS embsql_internal.as_id(CAST(id AS VARCHAR), typeof(id));

CREATE OR REPLACE MACRO embsql_internal.id_texts(ids) AS list_transform(
    CAST(ids AS VARCHAR[]), lambda one: embsql_internal.as_id(one, regexp_replace(typeof(ids), '\[[0-9]*\]$', ''))
);

-- Moments as they are in UTC, as sources are read; a cast would write those with a zone in the session's.
CREATE OR REPLACE MACRO embsql_internal.utc_times(moments) AS CASE
    WHEN starts_with(typeof(moments), 'TIMESTAMP WITH TIME ZONE')
    THEN list_transform(CAST(moments AS TIMESTAMPTZ[]), lambda moment: make_timestamp(epoch_us(moment)))
    ELSE CAST(moments AS TIMESTAMP[])
END;

CREATE OR REPLACE MACRO embsql_internal.four_decimals(value) AS printf('%.4f', value);

CREATE OR REPLACE MACRO embsql_internal.utc_now() AS make_timestamp(epoch_us(now()));

CREATE OR REPLACE MACRO embsql_internal.model_part(model) AS split_part(model, '@', 1);

CREATE OR REPLACE MACRO embsql_internal.run_part(model) AS CASE
    WHEN regexp_full_match(model, '[^@]*@[0-9]{1,18}') THEN CAST(split_part(model, '@', 2) AS BIGINT)
END;

-- Ends the query with a message. DuckDB's error() would make an expression volatile, whose alias stands in no WHERE.
CREATE OR REPLACE MACRO embsql_internal.refuse(message) AS CAST('embsql: ' || message AS BIGINT);

-- DuckDB looks tables up in the database that is in use, whichever file a macro was called in, and compares text by the
-- collation that is set, whoever's text it is.
CREATE OR REPLACE MACRO embsql_internal.in_this_file(id) AS CASE
    WHEN lower(current_setting('default_collation')) NOT IN ('', 'binary', 'c', 'posix') THEN embsql_internal.refuse(
        'default_collation is ' || current_setting('default_collation') || ', by which several ids may be one, or in another '
        || 'order. Ask with: SET SESSION default_collation = ''binary'';'
    ) = 0
    WHEN (SELECT count(*) FROM embsql.file AS f WHERE f.file_id = id) = 1 THEN TRUE
    ELSE embsql_internal.refuse(
        'this question is of another file than ' || current_database() || ', the one in use. Say which to ask: USE its_name;'
    ) = 0
END;

-- Which run a model's name means. What is known is read into one map, which no argument takes part in: everything after
-- it is an expression. Subqueries about the argument would each be a join; joins, and calls within lambdas, are most of
-- what a plan costs. (A list of one is how a macro's argument is written down only once.)

-- Every model with the run that it says is live, that run where it is there, and its runs: the newest, all, the finished.
CREATE OR REPLACE MACRO embsql_internal.known_models() AS (
    SELECT map_from_entries(list(struct_pack(
        name := one.model_name,
        runs := struct_pack(promoted := one.promoted, live := one.live, newest := one.newest, started := one.started, ready := one.ready)
    )))
    FROM (
        SELECT
            m.model_name, m.live_run AS promoted, max(r.run_id) FILTER (WHERE r.run_id = m.live_run) AS live,
            max(r.run_id) AS newest, list(r.run_id) AS started, list(r.run_id) FILTER (WHERE r.status = 'ready') AS ready
        FROM embsql.models AS m
        LEFT JOIN embsql.run_records AS r ON r.model_name = m.model_name
        GROUP BY m.model_name, m.live_run
    ) AS one
);

-- Of a model's runs the one that is meant: its own, or for shop@7 run 7 where it is among the numbered.
CREATE OR REPLACE MACRO embsql_internal.run_of(model, own, numbered) AS CASE
    WHEN contains(model, '@') THEN numbered[list_position(numbered, embsql_internal.run_part(model))]
    ELSE own
END;

-- Why a name means no run, runs being those of its model and models the names of all.
CREATE OR REPLACE MACRO embsql_internal.raise_no_run(model, runs, models) AS embsql_internal.refuse(CASE
    WHEN runs IS NULL THEN embsql_internal.no_such_model(embsql_internal.model_part(model), models)
    WHEN contains(model, '@') THEN
        format('"{}" has no finished run to read. See: SELECT * FROM embsql.runs(''{}'');', model, embsql_internal.model_part(model))
    ELSE format(
        CASE
            WHEN runs.promoted IS NULL AND runs.ready IS NULL
            THEN 'model "{0}" has no live run, and no finished one to promote. Train it; what became of earlier runs: '
                'SELECT * FROM embsql.runs(''{0}'');'
            WHEN runs.promoted IS NULL
            THEN 'model "{0}" has no live run, but run {2} is finished: read it as ''{0}@{2}'', see why it is not live with '
                'SELECT * FROM embsql.gate(''{0}@{2}''); or make it live with CALL embsql.promote(''{0}@{2}'');'
            WHEN runs.ready IS NULL
            THEN 'model "{0}" says that run {1} is live, which is gone. Nothing else of it is finished: '
                'CALL embsql.drop_model(''{0}''); and train it again'
            ELSE 'model "{0}" says that run {1} is live, which is gone. Make another live: '
                'CALL embsql.promote(''{0}@{2}'');'
        END,
        model, coalesce(runs.promoted, 0), coalesce(list_max(runs.ready), 0)
    )
END);

CREATE OR REPLACE MACRO embsql_internal.no_such_model(asked, models) AS
    'no model named "' || coalesce(asked, '') || '".' || coalesce(' Did you mean "' || list_min(list_transform(
        models, lambda one: CASE
            WHEN jaro_winkler_similarity(one, asked) > 0.8
            THEN struct_pack(unlike := -jaro_winkler_similarity(one, asked), name := one)
        END
    )).name || '"?', '') || ' See: SELECT * FROM embsql.models();';

-- 'shop' is the live run, 'shop@7' is run 7 of shop. Anything else raises and says what to do.
CREATE OR REPLACE MACRO embsql.live_run(model) AS list_transform([embsql_internal.known_models()], lambda known: list_transform(
    [known[embsql_internal.model_part(model)]],
    lambda runs: coalesce(
        embsql_internal.run_of(model, runs.live, runs.ready), embsql_internal.raise_no_run(model, runs, map_keys(known))
    )
)[1])[1];

-- The newest run whatever its state, so that a log can be read while it is written.
CREATE OR REPLACE MACRO embsql.newest_run(model) AS list_transform([embsql_internal.known_models()], lambda known: list_transform(
    [known[embsql_internal.model_part(model)]],
    lambda runs: coalesce(
        embsql_internal.run_of(model, runs.newest, runs.started),
        embsql_internal.raise_no_run(model, runs, map_keys(known))
    )
)[1])[1];

-- The question of this name among the names of all; NULL for NULL. Any other is an error, which says which is meant.
CREATE OR REPLACE MACRO embsql_internal.known_question(asked, names) AS CASE
    WHEN asked IS NULL OR list_contains(names, asked) THEN asked
    ELSE CAST(embsql_internal.refuse('no question named "' || asked || '".' || coalesce(' Did you mean "' || list_min(list_transform(
        names, lambda one: CASE
            WHEN jaro_winkler_similarity(one, asked) > 0.8
            THEN struct_pack(unlike := -jaro_winkler_similarity(one, asked), name := one)
        END
    )).name || '"?', '') || ' See: SELECT question, example FROM embsql.help();') AS VARCHAR)
END;

-- A run's maps and clusterings, which are made of it later: the run, where it has the one that is asked for.

CREATE OR REPLACE MACRO embsql_internal.all_maps() AS (
    SELECT list(DISTINCT struct_pack(run := p.run_id, entity := p.entity_kind, name := p.method_name)) FROM embsql.maps AS p
);

CREATE OR REPLACE MACRO embsql_internal.all_clusterings() AS (
    SELECT list(DISTINCT struct_pack(run := c.run_id, entity := c.entity_kind, name := c.clustering_name))
    FROM embsql.clusters AS c
);

-- Ends the query with how to make what was asked for: a struct of a model, an entity and a name.
CREATE OR REPLACE MACRO embsql_internal.refuse_derived(asked, run, made, what, command, option) AS embsql_internal.refuse(CASE
    WHEN coalesce(asked.entity, '') NOT IN ('item', 'user')
    THEN 'entity is item or user, got ' || coalesce('"' || asked.entity || '"', 'NULL')
    WHEN option = 'method' AND coalesce(asked.name, '') NOT IN ('pca', 'umap', 'tsne')
    THEN 'method is pca, umap or tsne, got ' || coalesce('"' || asked.name || '"', 'NULL')
    WHEN asked.name IS NULL THEN option || ' is the name of one, got NULL'
    ELSE format(
        'run {} of model "{}" has no {} of its {}s{}. Make it: CALL embsql.{}(''{}'', entity => ''{}'', {} => ''{}''); or in a '
        || 'shell: embsql {} {} --entity {} --{} ''{}''; or in Python: db.{}("{}", entity="{}", {}={})',
        run, embsql_internal.model_part(asked.model), what, asked.entity, coalesce('; it has: ' || nullif(array_to_string(list_sort(
            list_transform(list_filter(made, lambda one: one.run = run), lambda one: one.entity || ' ' || one.name)
        ), ', '), ''), ''),
        command, asked.model, asked.entity, option, replace(asked.name, '''', ''''''),
        command, asked.model, asked.entity, option, replace(asked.name, '''', '''"''"'''),
        command, asked.model, asked.entity, option, CAST(to_json(asked.name) AS VARCHAR)
    )
END);

CREATE OR REPLACE MACRO embsql_internal.mapped_run(model, entity, method) AS list_transform(
    [struct_pack(run := embsql.live_run(model), made := embsql_internal.all_maps())],
    lambda known: CASE
        WHEN list_contains(known.made, struct_pack(run := known.run, entity := entity, name := method)) THEN known.run
        ELSE embsql_internal.refuse_derived(
            struct_pack(model := model, entity := entity, name := method), known.run, known.made,
            'map by ' || method, 'project', 'method'
        )
    END
)[1];

CREATE OR REPLACE MACRO embsql_internal.clustered_run(model, entity, clustering) AS list_transform(
    [struct_pack(run := embsql.live_run(model), made := embsql_internal.all_clusterings())],
    lambda known: CASE
        WHEN list_contains(known.made, struct_pack(run := known.run, entity := entity, name := clustering)) THEN known.run
        ELSE embsql_internal.refuse_derived(
            struct_pack(model := model, entity := entity, name := clustering), known.run, known.made,
            'clustering "' || clustering || '"', 'cluster', 'clustering'
        )
    END
)[1];

-- How a user vector and an item vector make a score in a run: its dot product plus the biases, or the cosine.
CREATE OR REPLACE MACRO embsql_internal.run_score(similarity, a, norm_a, bias_a, b, norm_b, bias_b) AS
    CASE similarity
        WHEN 'cosine' THEN list_inner_product(a, b) / nullif(norm_a * norm_b, 0)
        ELSE list_inner_product(a, b) + bias_a + bias_b
    END;

-- What the best of a cell may score; NULL for nobody's vector. Its name comes after run_score, for IMPORT DATABASE.
CREATE OR REPLACE MACRO embsql_internal.score_of_cell(similarity, a, norm_a, bias_a, center, bias, reach) AS
    embsql_internal.run_score(similarity, a, norm_a, bias_a, center, 1, bias)
    + reach * CASE similarity WHEN 'cosine' THEN 1 ELSE CAST(norm_a AS DOUBLE) END;

-- How many vectors are read for so many answers, what is left out of them included: a power of those for 10 and for 100,
-- and not fewer than are asked for. As many lie in the cells that are read, so there are k answers where there are k rows.
CREATE OR REPLACE MACRO embsql_internal.cell_budget(budget, budget_100, answers) AS
    greatest(answers, budget * pow(greatest(answers / 10.0, 1), log10(budget_100 / budget)));

-- Many subjects at once (docs/decisions/0050).

-- Vectors of one kind, of all runs.
CREATE OR REPLACE MACRO embsql_internal.vectors_of(kind) AS TABLE
    SELECT i.run_id, i.item_id AS id, i.embedding, i.norm, i.bias, i.cell
    FROM embsql.item_embeddings AS i
    WHERE kind = 'item'
    UNION ALL
    SELECT u.run_id, u.user_id AS id, u.embedding, u.norm, u.bias, u.cell
    FROM embsql.user_embeddings AS u
    WHERE kind = 'user';

-- The k best of one kind for each of many subjects, a list of (id, embedding, norm, bias, without), without those hidden
-- from it; of `among` where there is a list. Cell 0, or `among`, is compared with all of them, other cells with those
-- that they are near. The order of whole answers costs ten times a product, so what is below k others of a sample is
-- left out before. Every SELECT that reads vectors is narrow: what goes through a window is copied.
CREATE OR REPLACE MACRO embsql_internal.best_for_many(of_run, kind, how, subjects, n_best, among) AS TABLE
WITH asked AS (
    SELECT DISTINCT of_run AS run_id, how AS similarity, n_best AS k, among AS candidates
),
call AS ( -- max takes fewer than a million, and memory for all that it may keep
    SELECT DISTINCT
        asked.run_id, asked.similarity, asked.candidates,
        greatest(least(coalesce(asked.k, 1), present.n_rows, 999999), 1) AS k
    FROM asked
    CROSS JOIN (
        SELECT count(v.run_id) AS n_rows FROM asked LEFT JOIN embsql_internal.vectors_of(kind) AS v ON v.run_id = asked.run_id
    ) AS present
),
subject AS (
    SELECT DISTINCT
        one.n, one.entry.id AS id, one.entry.embedding AS embedding, one.entry.norm AS norm, one.entry.bias AS bias
    FROM (SELECT unnest(subjects) AS entry, generate_subscripts(subjects, 1) AS n) AS one
),
hidden AS (
    SELECT DISTINCT listed.n, listed.id
    FROM (
        SELECT one.n, unnest(one.entry.without) AS id
        FROM (SELECT unnest(subjects) AS entry, generate_subscripts(subjects, 1) AS n) AS one
    ) AS listed
),
chosen AS (
    SELECT DISTINCT candidate.id FROM (SELECT unnest(call.candidates) AS id FROM call) AS candidate
),
whole AS (
    SELECT v.id, v.embedding, v.norm, v.bias
    FROM call
    JOIN embsql_internal.vectors_of(kind) AS v ON v.run_id = call.run_id
    LEFT JOIN chosen ON chosen.id = v.id
    WHERE CASE WHEN call.candidates IS NULL THEN v.cell = 0 ELSE chosen.id IS NOT NULL END
),
sample AS (
    SELECT whole.* FROM whole LIMIT 8192
),
counted AS (
    SELECT
        subject.n, count(hidden.id) AS n_hidden, least(any_value(call.k) + count(sample.id), 8193) AS n_floor
    FROM call
    CROSS JOIN subject
    LEFT JOIN hidden ON hidden.n = subject.n
    LEFT JOIN sample ON sample.id = hidden.id
    GROUP BY subject.n
),
floors AS (
    SELECT
        counted.n, max(
            embsql_internal.run_score(call.similarity, subject.embedding, subject.norm, subject.bias, s.embedding, s.norm, s.bias),
            counted.n_floor
        )[counted.n_floor] AS score
    FROM call
    CROSS JOIN subject
    JOIN counted ON counted.n = subject.n
    CROSS JOIN sample AS s
    GROUP BY counted.n, counted.n_floor
),
bounded AS (
    SELECT DISTINCT subject.n, subject.embedding, subject.norm, subject.bias, floors.score AS lowest
    FROM subject
    LEFT JOIN floors ON floors.n = subject.n
),
guessed AS (
    SELECT
        subject.n, part.cell, part.size,
        embsql_internal.cell_budget(part.budget, part.budget_100, call.k + counted.n_hidden) AS n_wanted,
        embsql_internal.score_of_cell(
            call.similarity, subject.embedding, subject.norm, subject.bias, part.center, part.bias, part.reach
        ) AS guess
    FROM call
    CROSS JOIN subject
    JOIN counted ON counted.n = subject.n
    JOIN embsql.cells AS part ON part.run_id = call.run_id AND part.entity = kind AND part.similarity = call.similarity
    WHERE call.candidates IS NULL
),
ranked AS (
    SELECT
        g.n, g.cell, g.n_wanted,
        sum(g.size) OVER (PARTITION BY g.n ORDER BY g.guess DESC, g.cell ASC) - g.size AS n_before
    FROM guessed AS g
),
scored AS (
    SELECT
        b.n, b.lowest, v.id,
        embsql_internal.run_score(call.similarity, b.embedding, b.norm, b.bias, v.embedding, v.norm, v.bias) AS score
    FROM call
    CROSS JOIN bounded AS b
    CROSS JOIN whole AS v
    UNION ALL
    SELECT
        b.n, b.lowest, v.id,
        embsql_internal.run_score(call.similarity, b.embedding, b.norm, b.bias, v.embedding, v.norm, v.bias) AS score
    FROM call
    JOIN embsql_internal.vectors_of(kind) AS v ON v.run_id = call.run_id
    JOIN ranked ON ranked.cell = v.cell AND ranked.n_before <= ranked.n_wanted
    JOIN bounded AS b ON b.n = ranked.n
),
best AS (
    SELECT s.n, unnest(min(struct_pack(unlike := 0 - s.score, id := s.id), call.k)) AS found
    FROM call
    CROSS JOIN scored AS s
    LEFT JOIN hidden ON hidden.n = s.n AND hidden.id = s.id
    WHERE hidden.id IS NULL AND (s.lowest IS NULL OR s.score >= s.lowest)
    GROUP BY s.n
)
SELECT subject.id AS subject_id, best.found.id AS id, 0 - best.found.unlike AS score
FROM best
JOIN subject ON subject.n = best.n;

-- People and cohorts.

-- Users of a list, of those a run has a direction of: each once, with its vector at length 1.
CREATE OR REPLACE MACRO embsql_internal.known_users(run, ids) AS TABLE
    SELECT u.user_id, embsql.unit_vector(u.embedding) AS direction
    FROM embsql.user_embeddings AS u
    WHERE u.run_id = run AND u.norm > 0 AND u.user_id IN (SELECT unnest(ids));

-- Who is in the cohorts of a set, each once in each, with the direction a run has of them, or NULL.
CREATE OR REPLACE MACRO embsql_internal.cohort_members(run, name) AS TABLE
    SELECT c.cohort, c.user_id, embsql.unit_vector(u.embedding) AS direction
    FROM (
        SELECT DISTINCT asked.run_id, m.cohort, m.user_id
        FROM (SELECT run AS run_id, name AS cohort_set) AS asked
        JOIN embsql.cohorts AS m ON m.cohort_set = asked.cohort_set
    ) AS c
    LEFT JOIN embsql.user_embeddings AS u ON u.run_id = c.run_id AND u.user_id = c.user_id AND u.norm > 0;

CREATE OR REPLACE MACRO embsql_internal.x_ln_x(x) AS CASE WHEN x > 0 THEN x * ln(x) ELSE 0 END;

-- Two runs. A matrix is the list of its rows.

-- What both runs have a direction of, at length 1. ordinal puts each kind in an order that has nothing to do with the
-- vectors: the first so many are a fixed sample.
CREATE OR REPLACE MACRO embsql_internal.shared_vectors(run_a, run_b) AS TABLE
    WITH pair AS (
        SELECT 'item' AS entity, a.item_id AS entity_id, a.embedding AS embedding_a, b.embedding AS embedding_b
        FROM embsql.item_embeddings AS a
        JOIN embsql.item_embeddings AS b ON b.item_id = a.item_id
        WHERE a.run_id = run_a AND b.run_id = run_b AND a.norm > 0 AND b.norm > 0
        UNION ALL
        SELECT 'user', a.user_id, a.embedding, b.embedding
        FROM embsql.user_embeddings AS a
        JOIN embsql.user_embeddings AS b ON b.user_id = a.user_id
        WHERE a.run_id = run_a AND b.run_id = run_b AND a.norm > 0 AND b.norm > 0
    )
    SELECT
        pair.entity,
        pair.entity_id,
        row_number() OVER (PARTITION BY pair.entity ORDER BY md5(pair.entity_id) ASC) AS ordinal,
        embsql.unit_vector(pair.embedding_a) AS direction_a,
        embsql.unit_vector(pair.embedding_b) AS direction_b
    FROM pair;

-- The inner products of the rows of one matrix with those of another: x times the transpose of y.
CREATE OR REPLACE MACRO embsql_internal.matmul_transposed(x, y) AS
    list_transform(x, lambda of_x: list_transform(y, lambda of_y: list_inner_product(of_x, of_y)));

CREATE OR REPLACE MACRO embsql_internal.transposed(x) AS
    list_transform(range(1, len(x[1]) + 1), lambda ordinal: list_transform(x, lambda of_x: of_x[ordinal]));

CREATE OR REPLACE MACRO embsql_internal.frobenius_norm_squared(x) AS
    list_sum(list_transform(x, lambda of_x: list_inner_product(of_x, of_x)));

-- Every entry divided by a number.
CREATE OR REPLACE MACRO embsql_internal.scale_matrix(x, size) AS
    list_transform(x, lambda of_x: list_transform(of_x, lambda number: number / coalesce(nullif(size, 0), 1)));

CREATE OR REPLACE MACRO embsql_internal.matvec(a, matrix) AS
    list_transform(matrix, lambda of_matrix: list_inner_product(of_matrix, a));

-- 1.5 I - 0.5 x x': what Newton and Schulz multiply x with.
CREATE OR REPLACE MACRO embsql_internal.newton_schulz_step(x) AS
    list_transform(embsql_internal.matmul_transposed(x, x), lambda line, i: list_transform(
        line, lambda entry, j: CASE WHEN i = j THEN 1.5 ELSE 0 END - 0.5 * entry
    ));

-- The matrix that turns vectors of one run onto those of another, with the least sum of squares over what both have:
-- the orthogonal factor of m, the sum of b a' (Schoenemann, 1966), which Newton and Schulz's iteration finds by
-- products alone (Higham, Functions of Matrices, 2008, chapter 8). It ends when a step adds nothing to the squared
-- size, which goes towards the number of dimensions that have a counterpart.
CREATE OR REPLACE MACRO embsql_internal.alignment(run_a, run_b) AS TABLE
    WITH RECURSIVE pair AS (SELECT run_a AS of_a, run_b AS of_b),
    anchor AS (
        SELECT
            CAST(list(s.direction_a ORDER BY s.entity ASC, s.ordinal ASC) AS DOUBLE[][]) AS rows_a,
            CAST(list(s.direction_b ORDER BY s.entity ASC, s.ordinal ASC) AS DOUBLE[][]) AS rows_b
        FROM pair, LATERAL embsql_internal.shared_vectors(pair.of_a, pair.of_b) AS s
        WHERE s.ordinal <= 5000
    ),
    columns_of AS (
        SELECT embsql_internal.transposed(anchor.rows_a) AS columns_a, embsql_internal.transposed(anchor.rows_b) AS columns_b
        FROM anchor
    ),
    crossed AS (
        SELECT embsql_internal.matmul_transposed(c.columns_b, c.columns_a) AS m FROM columns_of AS c
    ),
    scaled AS (
        SELECT embsql_internal.scale_matrix(c.m, sqrt(embsql_internal.frobenius_norm_squared(c.m))) AS m
        FROM crossed AS c
    ),
    turning AS (
        SELECT 0 AS step, CAST(0 AS DOUBLE) AS before, s.m, embsql_internal.transposed(s.m) AS across FROM scaled AS s
        UNION ALL
        SELECT f.step + 1, f.size, embsql_internal.matmul_transposed(f.factor, f.across), embsql_internal.matmul_transposed(f.across, f.factor)
        FROM (
            SELECT t.step, t.across, embsql_internal.frobenius_norm_squared(t.m) AS size, embsql_internal.newton_schulz_step(t.m) AS factor
            FROM turning AS t
            WHERE t.step < 60 AND embsql_internal.frobenius_norm_squared(t.m) > t.before + 1e-6
        ) AS f
    )
    SELECT CAST(t.m AS FLOAT[][]) AS matrix FROM turning AS t ORDER BY t.step DESC LIMIT 1;

-- Folding in: the user vector of a history, as the run's training would make it (embsql.fold_in_settings says how).

-- What a run makes of a history, in one row, or none where no item is known. Its vector x solves
-- A x = sum of pulls * vectors, where
-- A = unobserved_weight * gram + ridge * identity + sum of curves * vector vector'; without gram A is the identity.
-- ids are the known items in order, bias is the user's. Without amounts every item counts what one meeting does.
CREATE OR REPLACE MACRO embsql_internal.fold_in_system(of_run, asked, amounts) AS TABLE
WITH paired AS ( -- lists of different lengths are an error, and so is a weight that is not finite
    SELECT
        record.run_id, coalesce(solver.kind, 'mean') AS kind, record.items AS n_items, json_transform(
            solver.settings,
            '{"global_mean": "DOUBLE", "bias_damping": "DOUBLE", "default_rating": "DOUBLE", "weight_scale": "DOUBLE", "confidence_offset": "DOUBLE",
              "confidence_scale": "DOUBLE", "target_offset": "DOUBLE", "unobserved_weight": "DOUBLE", "reg": "DOUBLE", "reg_exponent": "DOUBLE",
              "n_columns": "DOUBLE"}'
        ) AS n,
        unnest(lists.items) AS item_id,
        lists.weights IS NULL AS unweighted,
        unnest(CASE
            WHEN coalesce(len(lists.items), 0) <> len(lists.weights) THEN [CAST(embsql_internal.refuse(
                coalesce(len(lists.items), 0) || ' items with ' || len(lists.weights)
                || ' weights: give every item one weight, or none at all'
            ) AS DOUBLE)]
            WHEN list_max(lists.weights) > 3e38 OR list_min(lists.weights) < -3e38 THEN [CAST(embsql_internal.refuse(
                'the list of weights holds NaN or infinity, or a number beyond those ('
                || CASE WHEN list_max(lists.weights) > 3e38 THEN list_max(lists.weights) ELSE list_min(lists.weights) END
                || '): a weight is finite, at most 3e38' -- NaN is more than any number
            ) AS DOUBLE)]
            ELSE lists.weights
        END) AS weight
    FROM (SELECT of_run AS run_id, asked AS items, amounts AS weights) AS lists
    JOIN embsql.run_records AS record ON record.run_id = lists.run_id
    LEFT JOIN embsql.fold_in_settings AS solver ON solver.run_id = record.run_id
),
weighed AS ( -- as in training: without a weight only where there are none, of 0 or less only where weights are ratings
    SELECT paired.*
    FROM paired
    WHERE CASE
        WHEN paired.weight IS NULL THEN paired.unweighted
        WHEN paired.n.global_mean IS NOT NULL THEN TRUE
        WHEN paired.weight < 0 THEN embsql_internal.refuse(
            'item "' || coalesce(paired.item_id, 'NULL') || '" has the negative weight ' || paired.weight
            || ', and this model was not trained on ratings: leave the item out, or give a weight of 0 or more'
        ) = 0
        ELSE paired.weight > 0
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
gathered AS ( -- in lists: windows over rows that carry vectors are slow, and DuckDB 1.5 now and then fails in them
    SELECT
        any_value(known.run_id) AS run_id, any_value(known.kind) AS kind, any_value(known.n_items) AS n_items, any_value(known.n) AS n,
        list(known.item_id ORDER BY known.item_id ASC) AS ids,
        list(known.weight ORDER BY known.item_id ASC) AS weights,
        -- what a rating leaves to the user and the vectors; the weight itself where nothing was rated
        list(known.weight * known.item_scale - coalesce(known.n.global_mean + known.bias, 0) ORDER BY known.item_id ASC) AS rests,
        CAST(list(known.embedding ORDER BY known.item_id ASC) AS DOUBLE[][]) AS vectors
    FROM known
),
person AS (
    SELECT
        gathered.*,
        coalesce(list_sum(gathered.rests) / (len(gathered.rests) + gathered.n.bias_damping), 0) AS own,
        coalesce(gathered.n.weight_scale, 1)
            / CASE WHEN gathered.kind = 'mean' THEN nullif(list_sum(gathered.weights), 0) ELSE 1 END AS share
    FROM gathered
),
evidence AS (
    SELECT
        person.*,
        list_transform(
            person.rests,
            lambda rest: coalesce(person.n.confidence_offset, 0) + coalesce(person.n.confidence_scale, 0) * person.share * (rest - person.own)
        ) AS curves
    FROM person
    WHERE person.kind IS NOT NULL AND person.share IS NOT NULL
)
SELECT
    evidence.kind, evidence.own + coalesce(evidence.n.global_mean, 0) AS bias, evidence.ids, evidence.weights, evidence.vectors,
    evidence.curves,
    list_transform(
        evidence.rests, lambda rest: coalesce(evidence.n.target_offset, 0) + evidence.share * (rest - evidence.own)
    ) AS pulls,
    evidence.n.unobserved_weight AS unobserved_weight,
    evidence.n.reg * pow(
        list_sum(evidence.curves) + evidence.n.unobserved_weight * coalesce(evidence.n.n_columns, evidence.n_items),
        evidence.n.reg_exponent
    ) AS ridge,
    gramian.lines AS gram
FROM evidence
LEFT JOIN ( -- of every run: asked for that of a history's, it would be made once for each history
    SELECT line.run_id, list(CAST(line.entries AS DOUBLE[]) ORDER BY line.position ASC) AS lines
    FROM embsql.item_gramian AS line
    GROUP BY line.run_id
) AS gramian ON gramian.run_id = evidence.run_id;

-- The sum of amounts * vectors.
CREATE OR REPLACE MACRO embsql_internal.weighted_sum(vectors, amounts) AS
    embsql_internal.matvec(amounts, embsql_internal.transposed(vectors));

CREATE OR REPLACE MACRO embsql_internal.plus_scaled(a, factor, b) AS
    list_transform(a, lambda one, i: one + factor * b[i]);

-- A times p, A being the matrix of embsql_internal.fold_in_system, which is never formed, and columns its vectors
-- transposed.
CREATE OR REPLACE MACRO embsql_internal.system_product(gram, unobserved_weight, ridge, vectors, columns, curves, p) AS list_transform(
    [list_transform(vectors, lambda one, i: curves[i] * list_inner_product(one, p))],
    lambda seen: list_transform(
        list_zip(gram, p, columns),
        lambda line: unobserved_weight * list_inner_product(line[1], p) + ridge * line[2] + list_inner_product(line[3], seen)
    )
)[1];

-- One step of conjugate gradients, q being A times state.p. (A list of one is how a lambda names a value.)
CREATE OR REPLACE MACRO embsql_internal.conjugate_step(state, q) AS list_transform(
    [embsql_internal.plus_scaled(state.r, -state.size / list_inner_product(state.p, q), q)],
    lambda r: {
        'x': embsql_internal.plus_scaled(state.x, state.size / list_inner_product(state.p, q), state.p), 'r': r,
        'p': embsql_internal.plus_scaled(r, list_inner_product(r, r) / state.size, state.p),
        'size': list_inner_product(r, r)
    }
)[1];

-- x of A x = b by conjugate gradients, from x = 0 until what is left of b is a millionth of it, or four times as many
-- steps as b is long: rounding wants more. Each is a round of list_reduce, whose list holds nothing behind the first
-- state; what is done carries nothing but x from round to round.
CREATE OR REPLACE MACRO embsql_internal.conjugate_gradients(gram, unobserved_weight, ridge, vectors, columns, curves, b) AS list_reduce(
    list_resize(
        [{'x': list_resize([CAST(0 AS DOUBLE)], len(b), CAST(0 AS DOUBLE)), 'r': b, 'p': b, 'size': list_inner_product(b, b)}],
        4 * len(b) + 1
    ),
    lambda state, _: CASE
        WHEN state.size > 1e-12 * list_inner_product(b, b) THEN list_transform(
            [embsql_internal.system_product(gram, unobserved_weight, ridge, vectors, columns, curves, state.p)],
            lambda q: embsql_internal.conjugate_step(state, q)
        )[1]
        ELSE {'x': state.x, 'r': NULL, 'p': NULL, 'size': 0}
    END
).x;

-- x of A x = b, A being the matrix of embsql_internal.fold_in_system.
CREATE OR REPLACE MACRO embsql_internal.solve(gram, unobserved_weight, ridge, vectors, curves, b) AS CASE
    WHEN gram IS NULL OR vectors IS NULL OR b IS NULL THEN b
    ELSE list_transform(
        [embsql_internal.transposed(vectors)],
        lambda columns: embsql_internal.conjugate_gradients(gram, unobserved_weight, ridge, vectors, columns, curves, b)
    )[1]
END;

-- Who a user is to a run now, in one row: what the newest events make of them, else what was trained. All is NULL of whom
-- nothing is known; source is sequence, fold_in or model.
CREATE OR REPLACE MACRO embsql_internal.user_state(of_run, person) AS TABLE
SELECT
    coalesce(fresh.embedding, trained.embedding) AS embedding,
    CAST(CASE WHEN fresh.embedding IS NULL THEN trained.norm ELSE fresh.norm END AS FLOAT) AS norm,
    CAST(CASE WHEN fresh.embedding IS NULL THEN trained.bias ELSE fresh.bias END AS FLOAT) AS bias,
    fresh.items AS fresh_items,
    CASE
        WHEN fresh.embedding IS NULL THEN 'model'
        WHEN network.run_id IS NULL THEN 'fold_in'
        ELSE 'sequence'
    END AS source
FROM (SELECT of_run AS run_id, person AS user_id) AS asked
LEFT JOIN embsql.networks AS network ON network.run_id = asked.run_id
LEFT JOIN embsql.user_embeddings AS trained ON trained.run_id = asked.run_id AND trained.user_id = asked.user_id
LEFT JOIN embsql.fresh_users AS fresh ON fresh.run_id = asked.run_id AND fresh.user_id = asked.user_id;

-- The users with events newer than a run, as embsql.watch has read them.
CREATE OR REPLACE MACRO embsql_internal.fresh_users(of_run) AS TABLE
SELECT fresh.user_id, fresh.items, fresh.events, fresh.newest_event, fresh.embedding
FROM embsql.fresh_users AS fresh
WHERE fresh.run_id = of_run;

-- How many rows that a run has not seen count for nothing: those without a weight, as embsql.watch has read them. Of other
-- weights that training refuses embsql.watch is an error.
CREATE OR REPLACE MACRO embsql_internal.refused_events(of_run) AS (
    SELECT CAST(coalesce(sum(kept.refused_events), 0) AS BIGINT) FROM embsql.watches AS kept WHERE kept.read_run = of_run
);

-- How many new pairs of user and item there are, as embsql.watch has read them.
CREATE OR REPLACE MACRO embsql_internal.new_pairs(of_run) AS (
    SELECT CAST(coalesce(sum(fresh.events), 0) AS BIGINT) FROM embsql.fresh_users AS fresh WHERE fresh.run_id = of_run
);

-- A time of an event as a moment in UTC; NULL beyond what has one.
CREATE OR REPLACE MACRO embsql_internal.moment(microseconds) AS
    CASE WHEN abs(microseconds) < 200000000000000000 THEN make_timestamp(CAST(microseconds AS BIGINT)) END;

-- Between the vectors of tables and those that are computed with: the same thing where the engine has only one kind.
CREATE OR REPLACE MACRO embsql_internal.as_vector(a) AS CAST(a AS FLOAT[]);

CREATE OR REPLACE MACRO embsql_internal.as_double(a) AS CAST(a AS DOUBLE[]);

-- A caller's vector. One that holds NaN or infinity is near nothing and would come first: an error. So is one that is
-- so long that its products with others may be either.
CREATE OR REPLACE MACRO embsql_internal.finite_vector(a) AS CASE
    WHEN NOT isfinite(list_inner_product(a, a)) THEN [CAST(embsql_internal.refuse(
        'the vector holds NaN or infinity, or is longer than 1.8e19'
    ) AS FLOAT)]
    ELSE a
END;

-- Towers: the vector of a newcomer, of what is known of them, as the run's tower would make it (embsql.tower_features).

-- A number as it is written, in days since 1970 for a time.
CREATE OR REPLACE MACRO embsql_internal.tower_number(kind, word) AS
    CASE kind WHEN 'time' THEN epoch(CAST(word AS TIMESTAMP)) / 86400 ELSE CAST(word AS DOUBLE) END;

-- What is said of a feature, as a list: several tags or items, the words of a text, one of all else.
CREATE OR REPLACE MACRO embsql_internal.feature_tokens(kind, said) AS CASE
    WHEN kind = 'text' THEN string_split_regex(lower(json_extract_string(said, '$')), '[ \t\n\r!-/:-@\[-`{-~]+')
    WHEN kind IN ('tags', 'items') AND json_type(said) = 'ARRAY' THEN json_extract_string(said, '$[*]')
    ELSE [json_extract_string(said, '$')]
END;

-- The features as JSON. Raises for a run without this tower, for what is no JSON object, and for a name the tower does
-- not know; that of the id may stand there.
CREATE OR REPLACE MACRO embsql_internal.known_features(of_run, side, features) AS CASE
    WHEN NOT EXISTS (SELECT 1 FROM embsql.tower_features AS part WHERE part.run_id = of_run AND part.entity = side)
    THEN CAST(embsql_internal.refuse(
        'run ' || of_run || ' makes no ' || side || ' vectors of features. Train two_tower with ' || side
        || '_features => ''SELECT ' || side || '_id, ...'''
    ) AS VARCHAR)
    WHEN features IS NULL THEN NULL
    WHEN NOT json_valid(features) OR json_type(CASE WHEN json_valid(features) THEN features END) <> 'OBJECT'
    THEN CAST(embsql_internal.refuse(
        'features must be a JSON object, for example {"country": "DE", "age": 31}, got ' || features
    ) AS VARCHAR)
    ELSE coalesce((
        SELECT CAST(embsql_internal.refuse(
            'this model knows no ' || side || ' feature "' || min(name.given) || '". It knows: ' || (
                SELECT string_agg(part.feature, ', ' ORDER BY part.feature ASC)
                FROM embsql.tower_features AS part
                WHERE part.run_id = of_run AND part.entity = side AND part.value IS NULL AND part.kind <> 'always'
            )
        ) AS VARCHAR)
        FROM (
            SELECT
                of_run AS run_id, side AS entity,
                unnest(json_keys(CASE WHEN json_valid(features) THEN features END)) AS given
        ) AS name
        LEFT JOIN embsql.tower_features AS part
            ON part.run_id = name.run_id AND part.entity = name.entity AND part.value IS NULL AND part.kind <> 'always'
            AND part.feature = name.given
        WHERE part.feature IS NULL AND name.given <> side || '_id'
        HAVING count(*) > 0
    ), features)
END;

-- The vector of features (a JSON object) in one row, and how many of them the tower knew the value of.
CREATE OR REPLACE MACRO embsql_internal.tower(of_run, side, features) AS TABLE
WITH RECURSIVE checked AS (
    SELECT embsql_internal.known_features(of_run, side, features) AS parsed
),
given AS (
    SELECT pair.key AS feature, pair.value AS said FROM checked, json_each(checked.parsed) AS pair
),
declared AS (
    SELECT part.feature, part.kind, part.embedding, given.said
    FROM embsql.tower_features AS part
    LEFT JOIN given ON given.feature = part.feature
    WHERE part.run_id = of_run AND part.entity = side AND part.value IS NULL
),
words AS (
    SELECT DISTINCT spread.feature, spread.kind, spread.word
    FROM (
        SELECT
            declared.feature, declared.kind,
            unnest(embsql_internal.feature_tokens(declared.kind, declared.said)) AS word
        FROM declared
    ) AS spread
    WHERE spread.word IS NOT NULL
),
weighed AS (
    SELECT
        words.feature, part.embedding,
        CASE
            WHEN words.kind IN ('number', 'time')
            THEN greatest(-4, least(4, (
                embsql_internal.tower_number(words.kind, words.word) - part.center
            ) / part.scale))
            WHEN words.kind = 'items' THEN 1 / count(*) OVER alike
            ELSE 1 / sqrt(count(*) OVER alike)
        END AS factor
    FROM words
    JOIN embsql.tower_features AS part
        ON part.run_id = of_run AND part.entity = side AND part.feature = words.feature
        AND part.value = CASE WHEN words.kind IN ('number', 'time') THEN '' ELSE words.word END
    WINDOW alike AS (PARTITION BY words.feature)
),
parts AS ( -- without a factor: what counts where nothing is known (DuckDB 1.5 answers NOT IN for all callers at once)
    SELECT weighed.feature, weighed.embedding, CAST(weighed.factor AS DOUBLE) AS factor FROM weighed
    UNION ALL
    SELECT declared.feature, declared.embedding, NULL FROM declared
),
entries AS (
    SELECT
        parts.feature, parts.factor, unnest(parts.embedding) AS entry, unnest(range(len(parts.embedding))) AS ordinal
    FROM parts
),
sums AS (
    SELECT
        entries.feature, entries.ordinal, count(entries.factor) AS found,
        coalesce(sum(entries.factor * entries.entry), max(entries.entry)) AS entry
    FROM entries
    GROUP BY entries.feature, entries.ordinal
),
totals AS (
    SELECT sums.ordinal, sum(sums.entry) AS entry, count(*) FILTER (WHERE sums.found > 0) AS known
    FROM sums
    GROUP BY sums.ordinal
),
layers AS (
    SELECT 1 AS layer, max(totals.known) AS known, list(totals.entry ORDER BY totals.ordinal ASC) AS x FROM totals
    UNION ALL
    SELECT
        active.layer + 1, max(active.known),
        list(list_inner_product(CAST(line.weights AS DOUBLE[]), active.x) + line.bias ORDER BY line.position ASC)
    FROM (
        SELECT layers.layer, layers.known, list_transform(layers.x, lambda number: greatest(number, 0)) AS x FROM layers
    ) AS active
    JOIN embsql.tower_layers AS line ON line.run_id = of_run AND line.entity = side AND line.layer = active.layer + 1
    GROUP BY active.layer
),
made AS (
    SELECT embsql_internal.as_vector(max_by(layers.x, layers.layer)) AS x, max(layers.known) AS known FROM layers
)
SELECT
    CASE run.similarity WHEN 'cosine' THEN embsql.unit_vector(made.x) ELSE made.x END AS embedding,
    made.known
FROM made
JOIN embsql.run_records AS run ON run.run_id = of_run;

-- The state of a history, as sql/prelude/networks.duckdb.sql makes it once a run has a network:
-- until then there is none, which costs nothing to plan.
CREATE OR REPLACE MACRO embsql_internal.network_state(of_run, asked, moments) AS TABLE
SELECT CAST(NULL AS FLOAT[]) AS embedding WHERE FALSE;

-- Whether it has taken its body from there: quicker to ask than the list of all functions.
CREATE OR REPLACE MACRO embsql_internal.reads_networks() AS FALSE;

-- Whether questions are those of cells.duckdb.sql, asked for the same reason.
CREATE OR REPLACE MACRO embsql_internal.reads_cells() AS FALSE;

-- The user vector of a history, in one row: the network's state where the run has one, else folded
-- in. NULL where no item is known. source is sequence or fold_in.
-- What it calls is not called LATERAL, as this is: each level would be planned twice.
CREATE OR REPLACE MACRO embsql_internal.history_vector(of_run, asked, amounts, moments) AS TABLE
WITH past AS (
    SELECT
        system.gram, system.unobserved_weight, system.ridge, system.vectors, system.curves,
        system.bias, embsql_internal.weighted_sum(system.vectors, system.pulls) AS pulled
    FROM embsql_internal.fold_in_system(of_run, asked, amounts) AS system
),
folded AS (
    SELECT
        embsql_internal.as_vector(embsql_internal.solve(
            past.gram, past.unobserved_weight, past.ridge, past.vectors, past.curves, past.pulled
        )) AS embedding,
        past.bias
    FROM past
),
network AS (
    SELECT state.embedding FROM embsql_internal.network_state(of_run, asked, moments) AS state
)
SELECT
    coalesce(network.embedding, folded.embedding) AS embedding,
    CASE WHEN network.embedding IS NULL THEN folded.bias ELSE 0 END AS bias,
    CASE WHEN network.embedding IS NULL THEN 'fold_in' ELSE 'sequence' END AS source
FROM (SELECT 1 AS one_row) AS always
LEFT JOIN folded ON TRUE
LEFT JOIN network ON TRUE;

-- What a user had done until an instant, in one row: events that a run's network has read, or pairs with their weights.
-- until is that instant as such runs' times are. What a run's rows cannot know is an error.
CREATE OR REPLACE MACRO embsql_internal.history_as_of(of_run, person, instant) AS TABLE
WITH asked AS (
    SELECT of_run AS run_id, person AS user_id, CASE
        WHEN isfinite(instant) THEN epoch_us(instant)
        WHEN instant < TIMESTAMP '1970-01-01' THEN -4611686018427387904
        ELSE 4611686018427387904
    END AS until
),
events AS (
    SELECT
        asked.run_id, count(past.item_id) AS kept,
        list(past.item_id ORDER BY past.position ASC) FILTER (WHERE past.event_time <= asked.until) AS items,
        list(embsql_internal.moment(past.event_time) ORDER BY past.position ASC)
            FILTER (WHERE past.event_time <= asked.until) AS moments
    FROM asked
    LEFT JOIN embsql.histories AS past ON past.run_id = asked.run_id AND past.user_id = asked.user_id
    GROUP BY asked.run_id
),
pairs AS (
    SELECT
        asked.run_id, count(past.item_id) AS kept, count(*) FILTER (WHERE past.last_time > asked.until) AS later,
        list(past.item_id ORDER BY past.item_id ASC) FILTER (WHERE past.last_time <= asked.until) AS items,
        list(CAST(past.weight AS DOUBLE) ORDER BY past.item_id ASC)
            FILTER (WHERE past.last_time <= asked.until) AS weights
    FROM asked
    LEFT JOIN embsql.interactions AS past ON past.run_id = asked.run_id AND past.user_id = asked.user_id
    GROUP BY asked.run_id
)
SELECT
    asked.until, events.moments, CASE WHEN network.run_id IS NULL THEN pairs.weights END AS weights, CASE
        WHEN pairs.kept > 0 AND abs(coalesce(run.newest_event, 0)) NOT BETWEEN 1e14 AND 1e16 -- microseconds
        THEN [CAST(embsql_internal.refuse_as_of('times', run.model_name, run.run_id) AS VARCHAR)]
        WHEN fresh.user_id IS NOT NULL AND asked.until > run.newest_event
        THEN [CAST(embsql_internal.refuse_as_of('fresh', run.model_name, run.run_id) AS VARCHAR)]
        WHEN coalesce(network.kind, 'gru_distinct') = 'gru_distinct' -- which have a pair's last event alone
            AND pairs.later > 0 AND coalesce(finding.affected, 1) > 0
        THEN [CAST(embsql_internal.refuse_as_of('pairs', run.model_name, run.run_id) AS VARCHAR)]
        WHEN events.items IS NULL AND events.kept >= network.max_length
        THEN [CAST(embsql_internal.refuse_as_of('cut', run.model_name, run.run_id) AS VARCHAR)]
        WHEN network.run_id IS NULL THEN pairs.items
        ELSE events.items
    END AS items
FROM asked
JOIN embsql.run_records AS run ON run.run_id = asked.run_id
LEFT JOIN events ON events.run_id = asked.run_id
LEFT JOIN pairs ON pairs.run_id = asked.run_id
LEFT JOIN embsql.networks AS network ON network.run_id = asked.run_id
LEFT JOIN embsql.fresh_users AS fresh ON fresh.run_id = asked.run_id AND fresh.user_id = asked.user_id
LEFT JOIN embsql.source_checks AS finding
    ON finding.run_id = asked.run_id AND finding.check_name = 'repeated pairs';

-- Why a run's rows do not know what a user had done by a moment.
CREATE OR REPLACE MACRO embsql_internal.refuse_as_of(why, model_name, run_id) AS embsql_internal.refuse(
    'what a user had done by a moment is not known of run ' || model_name || '@' || run_id || CASE why
        WHEN 'times' THEN ', whose events have no moments: train it from a source whose event_time is a timestamp or a date'
        WHEN 'fresh' THEN ' after its newest event, of which a file has no times: embsql refresh ' || model_name
        WHEN 'pairs' THEN ', which keeps the last time alone of a pair that came several times: train gru4rec, sasrec or '
            || 'bert4rec, which keep events'
        ELSE ' before the events that it keeps of them, the latest: train with a larger max_length'
    END
);

-- What is wrong with the database's own settings, for embsql.doctor.
CREATE OR REPLACE MACRO embsql_internal.database_findings() AS TABLE
WITH size AS (
    SELECT
        live.model_name, 4 * live.dim * (live.users + live.items) AS vectors,
        CAST(split_part(current_setting('memory_limit'), ' ', 1) AS DOUBLE)
            * pow(1024, list_position(['bytes', 'KiB', 'MiB', 'GiB', 'TiB'], split_part(current_setting('memory_limit'), ' ', 2)) - 1) AS allowed
    FROM embsql.models AS model
    JOIN embsql.run_records AS live ON live.run_id = model.live_run
)
SELECT
    'note' AS severity,
    size.model_name AS subject,
    printf('memory_limit is %s, less than the vectors take (%d MB): each question reads them from the file', current_setting('memory_limit'), CAST(size.vectors // 1000000 AS BIGINT)) AS finding,
    printf('SET memory_limit = ''%d MB'';', CAST(2 * size.vectors // 1000000 + 100 AS BIGINT)) AS remedy
FROM size
WHERE size.vectors > size.allowed;

-- What runs take, for embsql.storage. None of these has arguments, so that each can stand within the next.

CREATE OR REPLACE MACRO embsql_internal.rows_of_runs() AS TABLE
SELECT 'item_embeddings' AS kind, one.run_id, count(*) AS n_rows FROM embsql.item_embeddings AS one GROUP BY one.run_id
UNION ALL
SELECT 'user_embeddings' AS kind, one.run_id, count(*) AS n_rows FROM embsql.user_embeddings AS one GROUP BY one.run_id
UNION ALL
SELECT 'cells' AS kind, one.run_id, count(*) AS n_rows FROM embsql.cells AS one GROUP BY one.run_id
UNION ALL
SELECT 'cell_members' AS kind, one.run_id, count(*) AS n_rows FROM embsql.cell_members AS one GROUP BY one.run_id
UNION ALL
SELECT 'histories' AS kind, one.run_id, count(*) AS n_rows FROM embsql.histories AS one GROUP BY one.run_id
UNION ALL
SELECT 'top_items' AS kind, one.run_id, count(*) AS n_rows FROM embsql.top_items AS one GROUP BY one.run_id
UNION ALL
SELECT 'neighbors' AS kind, one.run_id, count(*) AS n_rows FROM embsql.neighbors AS one GROUP BY one.run_id
UNION ALL
SELECT 'training_log' AS kind, one.run_id, count(*) AS n_rows FROM embsql.training_log AS one GROUP BY one.run_id
UNION ALL
SELECT 'metrics' AS kind, one.run_id, count(*) AS n_rows FROM embsql.metrics AS one GROUP BY one.run_id
UNION ALL
SELECT 'source_checks' AS kind, one.run_id, count(*) AS n_rows FROM embsql.source_checks AS one GROUP BY one.run_id
UNION ALL
SELECT 'trials' AS kind, one.run_id, count(*) AS n_rows FROM embsql.trials AS one GROUP BY one.run_id
UNION ALL
SELECT 'gates' AS kind, one.run_id, count(*) AS n_rows FROM embsql.gates AS one GROUP BY one.run_id
UNION ALL
SELECT 'graph_edges' AS kind, one.run_id, count(*) AS n_rows FROM embsql.graph_edges AS one GROUP BY one.run_id
UNION ALL
SELECT 'fold_in_settings' AS kind, one.run_id, count(*) AS n_rows FROM embsql.fold_in_settings AS one GROUP BY one.run_id
UNION ALL
SELECT 'item_gramian' AS kind, one.run_id, count(*) AS n_rows FROM embsql.item_gramian AS one GROUP BY one.run_id
UNION ALL
SELECT 'item_weights' AS kind, one.run_id, count(*) AS n_rows FROM embsql.item_weights AS one GROUP BY one.run_id
UNION ALL
SELECT 'tower_features' AS kind, one.run_id, count(*) AS n_rows FROM embsql.tower_features AS one GROUP BY one.run_id
UNION ALL
SELECT 'tower_layers' AS kind, one.run_id, count(*) AS n_rows FROM embsql.tower_layers AS one GROUP BY one.run_id
UNION ALL
SELECT 'networks' AS kind, one.run_id, count(*) AS n_rows FROM embsql.networks AS one GROUP BY one.run_id
UNION ALL
SELECT 'network_layers' AS kind, one.run_id, count(*) AS n_rows FROM embsql.network_layers AS one GROUP BY one.run_id
UNION ALL
SELECT 'item_first_times' AS kind, one.run_id, count(*) AS n_rows FROM embsql.item_first_times AS one GROUP BY one.run_id
UNION ALL
SELECT 'clusters' AS kind, one.run_id, count(*) AS n_rows FROM embsql.clusters AS one GROUP BY one.run_id
UNION ALL
SELECT 'cluster_members' AS kind, one.run_id, count(*) AS n_rows FROM embsql.cluster_members AS one GROUP BY one.run_id
UNION ALL
SELECT 'maps' AS kind, one.run_id, count(*) AS n_rows FROM embsql.maps AS one GROUP BY one.run_id
UNION ALL
SELECT 'fresh_users' AS kind, one.run_id, count(*) AS n_rows FROM embsql.fresh_users AS one GROUP BY one.run_id
UNION ALL -- what runs share is the first's that has it
SELECT 'pair_versions' AS kind, min_by(run.run_id, (run.snapshot, run.run_id)) AS run_id, one.n_rows AS n_rows
FROM (
    SELECT pair.series, pair.from_snapshot, count(*) AS n_rows
    FROM embsql.pair_versions AS pair
    GROUP BY pair.series, pair.from_snapshot
) AS one
JOIN embsql.run_records AS run ON run.series = one.series AND run.snapshot >= one.from_snapshot
GROUP BY one.series, one.from_snapshot, one.n_rows;

-- A segment is some rows of one column.
CREATE OR REPLACE MACRO embsql_internal.segments() AS TABLE
SELECT 'item_embeddings' AS kind, one.* FROM pragma_storage_info('embsql.item_embeddings') AS one
UNION ALL
SELECT 'user_embeddings' AS kind, one.* FROM pragma_storage_info('embsql.user_embeddings') AS one
UNION ALL
SELECT 'cells' AS kind, one.* FROM pragma_storage_info('embsql.cells') AS one
UNION ALL
SELECT 'cell_members' AS kind, one.* FROM pragma_storage_info('embsql.cell_members') AS one
UNION ALL
SELECT 'histories' AS kind, one.* FROM pragma_storage_info('embsql.histories') AS one
UNION ALL
SELECT 'top_items' AS kind, one.* FROM pragma_storage_info('embsql.top_items') AS one
UNION ALL
SELECT 'neighbors' AS kind, one.* FROM pragma_storage_info('embsql.neighbors') AS one
UNION ALL
SELECT 'training_log' AS kind, one.* FROM pragma_storage_info('embsql.training_log') AS one
UNION ALL
SELECT 'metrics' AS kind, one.* FROM pragma_storage_info('embsql.metrics') AS one
UNION ALL
SELECT 'source_checks' AS kind, one.* FROM pragma_storage_info('embsql.source_checks') AS one
UNION ALL
SELECT 'trials' AS kind, one.* FROM pragma_storage_info('embsql.trials') AS one
UNION ALL
SELECT 'gates' AS kind, one.* FROM pragma_storage_info('embsql.gates') AS one
UNION ALL
SELECT 'graph_edges' AS kind, one.* FROM pragma_storage_info('embsql.graph_edges') AS one
UNION ALL
SELECT 'fold_in_settings' AS kind, one.* FROM pragma_storage_info('embsql.fold_in_settings') AS one
UNION ALL
SELECT 'item_gramian' AS kind, one.* FROM pragma_storage_info('embsql.item_gramian') AS one
UNION ALL
SELECT 'item_weights' AS kind, one.* FROM pragma_storage_info('embsql.item_weights') AS one
UNION ALL
SELECT 'tower_features' AS kind, one.* FROM pragma_storage_info('embsql.tower_features') AS one
UNION ALL
SELECT 'tower_layers' AS kind, one.* FROM pragma_storage_info('embsql.tower_layers') AS one
UNION ALL
SELECT 'networks' AS kind, one.* FROM pragma_storage_info('embsql.networks') AS one
UNION ALL
SELECT 'network_layers' AS kind, one.* FROM pragma_storage_info('embsql.network_layers') AS one
UNION ALL
SELECT 'item_first_times' AS kind, one.* FROM pragma_storage_info('embsql.item_first_times') AS one
UNION ALL
SELECT 'clusters' AS kind, one.* FROM pragma_storage_info('embsql.clusters') AS one
UNION ALL
SELECT 'cluster_members' AS kind, one.* FROM pragma_storage_info('embsql.cluster_members') AS one
UNION ALL
SELECT 'maps' AS kind, one.* FROM pragma_storage_info('embsql.maps') AS one
UNION ALL
SELECT 'fresh_users' AS kind, one.* FROM pragma_storage_info('embsql.fresh_users') AS one
UNION ALL
SELECT 'pair_versions' AS kind, one.* FROM pragma_storage_info('embsql.pair_versions') AS one;

-- The length of a segment is written nowhere: in its block it goes as far as the next one does. Without a block it is in
-- memory, or, where the block's number is -1, all its values are one.
CREATE OR REPLACE MACRO embsql_internal.stored_bytes() AS TABLE
SELECT sized.kind, sum(sized.n_bytes) AS n_bytes
FROM (
    SELECT
        segment.kind,
        CASE
            WHEN segment.block_id >= 0 THEN
                coalesce(lead(segment.block_offset) OVER block, file.block_size) - segment.block_offset
                + len(segment.additional_block_ids) * file.block_size
            WHEN segment.block_id = -1 THEN 0
            ELSE segment.count * CASE segment.segment_type
                WHEN 'VALIDITY' THEN 0.125 WHEN 'BOOLEAN' THEN 1 WHEN 'INTEGER' THEN 4 WHEN 'FLOAT' THEN 4 WHEN 'VARCHAR' THEN 16
                ELSE 8
            END
        END AS n_bytes
    FROM embsql_internal.segments() AS segment
    JOIN pragma_database_size() AS file ON file.database_name = current_database()
    WINDOW block AS (PARTITION BY segment.block_id ORDER BY segment.block_offset ASC)
) AS sized
GROUP BY sized.kind;

CREATE OR REPLACE MACRO embsql_internal.stored_parts() AS TABLE
SELECT
    shared.run_id,
    CASE shared.kind
        WHEN 'item_embeddings' THEN 'vectors' WHEN 'user_embeddings' THEN 'vectors' WHEN 'pair_versions' THEN 'interactions'
        WHEN 'histories' THEN 'histories' WHEN 'top_items' THEN 'top_k' WHEN 'neighbors' THEN 'top_k' ELSE 'others'
    END AS part,
    shared.n_rows,
    CAST(round(stored.n_bytes * shared.share / sum(shared.share) OVER (PARTITION BY shared.kind)) AS BIGINT) AS n_bytes
FROM (
    SELECT
        held.kind, held.run_id, held.n_rows,
        held.n_rows * CASE WHEN ends_with(held.kind, '_embeddings') THEN coalesce(run.dim, 1) ELSE 1 END AS share
    FROM embsql_internal.rows_of_runs() AS held
    LEFT JOIN embsql.run_records AS run ON run.run_id = held.run_id
) AS shared
JOIN embsql_internal.stored_bytes() AS stored ON stored.kind = shared.kind;
