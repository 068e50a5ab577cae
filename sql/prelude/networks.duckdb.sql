-- Sequence networks: the state after a history, as the run's network would make it. DuckDB plans a
-- macro whole, so this is installed where a run has a network (installation.install_readers), and
-- takes the place of the primitive in duckdb.sql that has no rows. What takes several steps is a
-- chain of SELECTs, as an argument is computed wherever a macro has it.

-- One over each vector's standard deviation, which a map behind a layer norm multiplies by. All
-- else of the norm is in the map's weights, whose rows sum to zero and so take the mean away
-- (embsql/nn/network_rows.py).
CREATE OR REPLACE MACRO embsql_internal.inverse_deviations(vectors) AS
    list_transform(vectors, lambda deviating: 1 / sqrt(list_var_pop(deviating) + 1e-5));

-- Vectors, each times its factor, through a linear map; NULL without one, as the maps of another
-- kind of network are. A list of NULLs would be an error for the other rows of a statement, too.
CREATE OR REPLACE MACRO embsql_internal.linear(vectors, factors, map) AS list_transform(
    CASE WHEN map IS NOT NULL THEN vectors END, lambda mapped, n_th: list_transform(
        map.weights,
        lambda line, row_no: factors[n_th] * list_inner_product(line, mapped) + map.bias[row_no]
    )
);

-- The same, added to others: the map has no biases.
CREATE OR REPLACE MACRO embsql_internal.residual(vectors, map, others) AS list_transform(
    CASE WHEN map IS NOT NULL THEN vectors END, lambda mapped, n_th: list_transform(
        map.weights,
        lambda line, row_no: others[n_th][row_no] + list_inner_product(line, mapped)
    )
);

CREATE OR REPLACE MACRO embsql_internal.positive_each(vectors) AS list_transform(
    vectors, lambda of_event: list_transform(of_event, lambda entry: greatest(entry, 0))
);

-- The states of gated recurrent units after each event (Cho et al., 2014), from what the events add
-- to reset, update and new gates. list_reduce collects them, each in a list of its own.
CREATE OR REPLACE MACRO embsql_internal.gru_step(gates, recurrent, state) AS list_transform(
    state,
    lambda entry, i: list_transform(
        [1 / (1 + exp(-gates[len(state) + i] - recurrent[len(state) + i]))],
        lambda update: update * entry + (1 - update) * tanh(
            gates[2 * len(state) + i]
            + recurrent[2 * len(state) + i] / (1 + exp(-gates[i] - recurrent[i]))
        )
    )[1]
);

CREATE OR REPLACE MACRO embsql_internal.gru_states(gates, hidden) AS list_reduce(
    list_transform(gates, lambda of_event: [of_event]),
    lambda so_far, next_gates: list_append(so_far, list_transform(
        embsql_internal.linear(so_far[-1:], [1], hidden),
        lambda recurrent: embsql_internal.gru_step(next_gates[1], recurrent, so_far[-1])
    )[1]),
    [list_resize([CAST(0 AS DOUBLE)], len(hidden.weights) // 3, CAST(0 AS DOUBLE))]
)[2:];

-- Rotary position embedding (Su et al., 2021): pairs of components of each head are turned by their
-- event's position, the faster the further in front.
CREATE OR REPLACE MACRO embsql_internal.rotary_each(vectors, places, width) AS list_transform(
    vectors,
    lambda turned, n_th: list_transform(
        turned,
        lambda entry, i: list_transform(
            [places[n_th] * pow(1e4, -((i - 1) % (width // 2)) / (width // 2))],
            lambda angle: entry * cos(angle) + sin(angle) * CASE
                WHEN (i - 1) % width < width // 2 THEN -turned[i + width // 2]
                ELSE turned[i - width // 2]
            END
        )[1]
    )
);

-- Which row of a network's time table a span is: twice as long, one further
-- (embsql/features/time.py).
CREATE OR REPLACE MACRO embsql_internal.span_bucket(span) AS
    least(39, CAST(floor(log2(greatest(span, 0) + 1)) AS BIGINT));

-- How many units of time a moment is into a cycle of n, from midnight on 1 January 1970.
CREATE OR REPLACE MACRO embsql_internal.cycle(moment, unit, n) AS
    CAST(floor(moment / unit) - n * floor(moment / (n * unit)) AS BIGINT);

CREATE OR REPLACE MACRO embsql_internal.reads_networks() AS TRUE;

-- The state after the last of the items that the run knows, in one row: none for a run without a
-- network, and where it knows none of them. Events without a time are of the run's latest.
CREATE OR REPLACE MACRO embsql_internal.network_state(of_run, asked, moments) AS TABLE
WITH RECURSIVE history AS ( -- lists of different lengths are an error
    SELECT
        network.*, lists.items, unnest(lists.items) AS item_id,
        generate_subscripts(lists.items, 1) AS ordinal,
        unnest(CASE
            WHEN coalesce(len(lists.items), 0) <> len(lists.times)
            THEN [CAST(make_timestamp(embsql_internal.refuse(
                coalesce(len(lists.items), 0) || ' items with ' || len(lists.times)
                || ' times: give every item one time, or none at all'
            )) AS TIMESTAMP)]
            ELSE lists.times
        END) AS moment
    FROM (SELECT of_run AS run_id, asked AS items, moments AS times) AS lists
    JOIN embsql.networks AS network ON network.run_id = lists.run_id
),
known AS (
    SELECT
        history.* EXCLUDE (items, moment), item.embedding, part.scale, start.first_time,
        abs(history.latest_time) > 1e14 AS dated, -- else all are the source's own numbers
        coalesce(epoch_us(history.moment), history.latest_time) AS moment
    FROM history
    JOIN embsql.item_embeddings AS item
        ON item.run_id = history.run_id AND item.item_id = history.item_id
    JOIN embsql.item_weights AS part ON part.run_id = item.run_id AND part.item_id = item.item_id
    LEFT JOIN embsql.item_first_times AS start
        ON start.run_id = item.run_id AND start.item_id = item.item_id
    WHERE part.scale > 0 -- an item without a vector says nothing
        AND NOT (
            history.kind = 'gru_distinct'
            AND list_contains(history.items[history.ordinal + 1:], history.item_id)
        )
),
timed AS ( -- not lag, which DuckDB 1.5 misreads in a file (findings/duckdb_lag_in_macro.sh)
    SELECT
        known.*, CASE WHEN known.dated THEN 6e7 ELSE 1 END AS unit,
        coalesce(max(known.moment) OVER (
            PARTITION BY known.run_id ORDER BY known.ordinal ASC
            ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING
        ), known.moment) AS previous,
        known.ordinal = max(known.ordinal) OVER (PARTITION BY known.run_id) AS is_last
    FROM known
),
maps AS (
    SELECT
        line.run_id, line.layer, line.part, struct_pack(
            weights := list(CAST(line.weights AS DOUBLE[]) ORDER BY line.position ASC),
            bias := list(CAST(line.bias AS DOUBLE) ORDER BY line.position ASC)
        ) AS map
    FROM (SELECT of_run AS run_id) AS this
    JOIN embsql.network_layers AS line ON line.run_id = this.run_id
    GROUP BY line.run_id, line.layer, line.part
),
layers AS (
    SELECT
        maps.run_id, maps.layer,
        any_value(maps.map) FILTER (WHERE maps.part = 'input') AS input,
        any_value(maps.map) FILTER (WHERE maps.part = 'hidden') AS hidden,
        any_value(maps.map) FILTER (WHERE maps.part = 'query') AS query,
        any_value(maps.map) FILTER (WHERE maps.part = 'key') AS key,
        any_value(maps.map) FILTER (WHERE maps.part = 'value') AS value,
        any_value(maps.map) FILTER (WHERE maps.part = 'attention_output') AS attention_output,
        any_value(maps.map) FILTER (WHERE maps.part = 'feed_forward') AS feed_forward,
        any_value(maps.map) FILTER (WHERE maps.part = 'feed_forward_output') AS feed_forward_output,
        any_value(maps.map) FILTER (WHERE maps.part = 'mask') AS mask,
        any_value(maps.map) FILTER (WHERE maps.part = 'time') AS time_table,
        any_value(maps.map) FILTER (WHERE maps.part = 'output') AS output
    FROM maps
    GROUP BY maps.run_id, maps.layer
),
masked AS ( -- a mask is of the time of the event before it
    SELECT
        one.*, base.mask.weights[1] AS mask, base.time_table.weights AS time_table,
        unnest(CASE
            WHEN one.is_last AND base.mask IS NOT NULL THEN [FALSE, TRUE] ELSE [FALSE]
        END) AS is_mask
    FROM timed AS one
    LEFT JOIN layers AS base ON base.run_id = one.run_id AND base.layer = 0
),
inputs AS ( -- what is read of an event: its item and perhaps hour, weekday, gap, the item's age
    SELECT
        one.*, list_transform(list_zip(
            CASE WHEN one.is_mask THEN one.mask ELSE CAST(one.embedding AS DOUBLE[]) END,
            one.time_table[1 + CASE
                WHEN one.dated THEN embsql_internal.cycle(one.moment, 3.6e9, 24) ELSE 0
            END],
            one.time_table[25 + CASE
                WHEN one.dated THEN embsql_internal.cycle(one.moment, 86.4e9, 7) ELSE 0
            END],
            one.time_table[
                32 + embsql_internal.span_bucket((one.moment - one.previous) / one.unit)
            ],
            one.time_table[
                72 + embsql_internal.span_bucket((one.moment - one.first_time) / one.unit)
            ]
        ), lambda entries: entries[1] * CASE WHEN one.is_mask THEN 1 ELSE one.scale END
            + coalesce(entries[2] + entries[3] + entries[4] + entries[5], 0)
        ) AS vector
    FROM masked AS one
),
latest AS (
    SELECT
        one.run_id, any_value(one.kind) AS kind, any_value(one.n_layers) AS n_layers,
        any_value(one.n_heads) AS n_heads, NOT bool_or(one.is_mask) AS causal,
        list(one.vector ORDER BY one.ordinal ASC, one.is_mask ASC)[
            -any_value(one.max_length) - count(*) FILTER (WHERE one.is_mask):
        ] AS vectors
    FROM inputs AS one
    GROUP BY one.run_id
),
states AS (
    SELECT
        0 AS layer, one.run_id, one.kind, one.n_layers, one.n_heads, one.causal, CASE one.kind
            WHEN 'mean' THEN [list_transform(
                embsql_internal.transposed(one.vectors), lambda entries: list_avg(entries)
            )]
            ELSE one.vectors
        END AS vectors
    FROM latest AS one
    UNION ALL
    SELECT
        made.layer, made.run_id, made.kind, made.n_layers, made.n_heads, made.causal, made.vectors
    FROM (
        WITH read AS ( -- the last layer works where the state is wanted
            SELECT
                of_layer.*, before.kind, before.n_layers, before.n_heads, before.causal,
                before.vectors, CASE
                    WHEN of_layer.layer = before.n_layers THEN len(before.vectors) ELSE 1
                END AS first,
                len(before.vectors) AS events,
                len(before.vectors[1]) // before.n_heads AS width,
                embsql_internal.inverse_deviations(before.vectors) AS factors
            FROM states AS before
            JOIN layers AS of_layer
                ON of_layer.run_id = before.run_id AND of_layer.layer = before.layer + 1
            WHERE before.layer < before.n_layers
        ),
        projected AS (
            SELECT
                read.*, read.vectors[read.first:] AS wanted,
                embsql_internal.rotary_each(
                    list_concat(
                        embsql_internal.linear(read.vectors, read.factors, read.key),
                        embsql_internal.linear(
                            read.vectors[read.first:], read.factors[read.first:], read.query
                        )
                    ),
                    list_concat(range(read.events), range(read.first - 1, read.events)),
                    read.width
                ) AS turned,
                list_transform(read.value.weights, lambda line, row_no: list_transform(
                    read.vectors,
                    lambda event, n_th: read.factors[n_th] * list_inner_product(line, event)
                        + read.value.bias[row_no]
                )) AS columns,
                embsql_internal.linear(
                    read.vectors, list_resize([1], read.events, 1), read.input
                ) AS entered
            FROM read
        ),
        split AS (
            SELECT
                one.* EXCLUDE (turned),
                list_transform(range(one.n_heads), lambda head: list_transform(
                    one.turned[one.events + 1:],
                    lambda whole: whole[head * one.width + 1:(head + 1) * one.width]
                )) AS queries,
                list_transform(range(one.n_heads), lambda head: list_transform(
                    one.turned[1: one.events],
                    lambda whole: whole[head * one.width + 1:(head + 1) * one.width]
                )) AS keys,
                list_transform(range(one.n_heads), lambda head:
                    one.columns[head * one.width + 1:(head + 1) * one.width]
                ) AS by_head
            FROM projected AS one
        ),
        compared AS (
            SELECT one.*, list_transform(one.queries, lambda of_head, head: list_transform(
                of_head, lambda asking, n_th: list_transform(
                    one.keys[head], lambda asked_of, m_th: CASE
                        WHEN one.causal AND m_th >= one.first + n_th
                        THEN CAST('-infinity' AS DOUBLE)
                        ELSE list_inner_product(asking, asked_of) / sqrt(one.width)
                    END
                )
            )) AS scores
            FROM split AS one
        ),
        weighed AS (
            SELECT one.*, list_transform(one.scores, lambda of_head: list_transform(
                of_head, lambda of_event: list_transform(
                    [list_max(of_event)],
                    lambda top: list_transform(of_event, lambda score: exp(score - top))
                )[1]
            )) AS shares
            FROM compared AS one
        ),
        averaged AS (
            SELECT one.*, list_transform(one.shares, lambda of_head, head: list_transform(
                of_head, lambda of_event: list_transform(
                    one.by_head[head],
                    lambda line: list_inner_product(line, of_event) / list_sum(of_event)
                )
            )) AS heads
            FROM weighed AS one
        ),
        attended AS (
            SELECT one.*, embsql_internal.residual(
                list_transform(one.wanted, lambda _, n_th: flatten(list_transform(
                    one.heads, lambda of_head: of_head[n_th]
                ))),
                one.attention_output, one.wanted
            ) AS seen
            FROM averaged AS one
        ),
        spread AS (
            SELECT one.*, embsql_internal.inverse_deviations(one.seen) AS deviations
            FROM attended AS one
        ),
        activated AS (
            SELECT one.*, embsql_internal.positive_each(
                embsql_internal.linear(one.seen, one.deviations, one.feed_forward)
            ) AS active
            FROM spread AS one
        )
        SELECT
            one.layer, one.run_id, one.kind, one.n_layers, one.n_heads, one.causal, CASE one.kind
                WHEN 'mean' THEN embsql_internal.positive_each(one.entered)
                WHEN 'transformer'
                THEN embsql_internal.residual(one.active, one.feed_forward_output, one.seen)
                ELSE embsql_internal.gru_states(one.entered, one.hidden)
            END AS vectors
        FROM activated AS one
    ) AS made
),
made AS (
    SELECT
        embsql_internal.as_vector(embsql_internal.linear(
            last.vectors[-1:], CASE last.kind
                WHEN 'transformer' THEN embsql_internal.inverse_deviations(last.vectors[-1:])
                ELSE [1]
            END, top.output
        )[1]) AS state,
        last.run_id
    FROM states AS last
    JOIN layers AS top ON top.run_id = last.run_id AND top.layer = last.layer + 1
    WHERE last.layer = last.n_layers
)
SELECT CASE run.similarity
    WHEN 'cosine' THEN embsql.unit_vector(made.state) ELSE made.state
END AS embedding
FROM made
JOIN embsql.run_records AS run ON run.run_id = made.run_id;
