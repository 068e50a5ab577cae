-- The tables that questions read, in Spark: those of sql/schema by their columns, as Parquet, a folder for each run.
-- embsql.models, which says what is live, is a view (sql/spark/promotion.sql.j2): it changes at one instant.

CREATE TABLE IF NOT EXISTS embsql.run_records (
    model_name STRING, algorithm STRING, params STRING, source_sql STRING, source_hash STRING, seed BIGINT,
    dim INT, similarity STRING, status STRING, users BIGINT, items BIGINT, interactions BIGINT, checksum STRING,
    error STRING, versions STRING, started_at TIMESTAMP_NTZ, finished_at TIMESTAMP_NTZ, user_col STRING,
    item_col STRING, weight_col STRING, time_col STRING, phase STRING, phase_seconds STRING, newest_event BIGINT,
    parent_run BIGINT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.training_log (
    epoch INT, metric STRING, value DOUBLE, logged_at TIMESTAMP_NTZ, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.metrics (
    split STRING, segment STRING, metric STRING, k INT, value DOUBLE, popular_value DOUBLE,
    itemknn_value DOUBLE, ci_low DOUBLE, ci_high DOUBLE, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.source_checks (
    check_name STRING, severity STRING, affected BIGINT, example STRING, hint STRING, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.trials (
    trial INT, params STRING, metric STRING, value DOUBLE, seconds DOUBLE, status STRING, error STRING,
    algorithm STRING, ci_low DOUBLE, ci_high DOUBLE, chosen BOOLEAN, reason STRING, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.gates (
    verdict STRING, split STRING, metric STRING, k INT, value DOUBLE, popular_value DOUBLE, compared_run BIGINT,
    basis STRING, users BIGINT, left_out BIGINT, new_value DOUBLE, live_value DOUBLE, difference DOUBLE,
    ci_low DOUBLE, ci_high DOUBLE, tolerance DOUBLE, reason STRING, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.fold_in_settings (
    kind STRING, settings STRING, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.item_gramian (
    position INT, entries ARRAY<FLOAT>, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.item_weights (
    item_id STRING, scale FLOAT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.graph_edges (
    source_node STRING, target_node STRING, weight FLOAT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.tower_features (
    entity STRING, feature STRING, kind STRING, value STRING, center DOUBLE, scale DOUBLE,
    embedding ARRAY<FLOAT>, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.tower_layers (
    entity STRING, layer INT, position INT, weights ARRAY<FLOAT>, bias FLOAT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.networks (
    kind STRING, n_layers INT, n_heads INT, max_length INT, latest_time BIGINT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.network_layers (
    layer INT, part STRING, position INT, weights ARRAY<FLOAT>, bias FLOAT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.item_first_times (
    item_id STRING, first_time BIGINT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.histories (
    user_id STRING, position INT, item_id STRING, event_time BIGINT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.item_embeddings (
    item_id STRING, embedding ARRAY<FLOAT>, norm FLOAT, bias FLOAT, interactions INT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.user_embeddings (
    user_id STRING, embedding ARRAY<FLOAT>, norm FLOAT, bias FLOAT, interactions INT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.interactions (
    user_id STRING, item_id STRING, weight FLOAT, last_time BIGINT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.clusters (
    entity_kind STRING, clustering_name STRING, cluster_id INT, size BIGINT, radius DOUBLE, label STRING,
    unit_length BOOLEAN, centroid ARRAY<FLOAT>, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.cluster_members (
    entity_kind STRING, clustering_name STRING, entity_id STRING, cluster_id INT, distance DOUBLE,
    silhouette DOUBLE, top_rank INT, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.maps (
    entity_kind STRING, method_name STRING, entity_id STRING, x DOUBLE, y DOUBLE, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.top_items (
    user_id STRING, rank INT, item_id STRING, score DOUBLE, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

CREATE TABLE IF NOT EXISTS embsql.neighbors (
    entity STRING, entity_id STRING, rank INT, neighbor_id STRING, score DOUBLE, run_id BIGINT
) USING parquet PARTITIONED BY (run_id);

-- Yours to fill: INSERT INTO embsql.cohorts SELECT 'signup_month', customer_id, date_format(...) FROM ...
CREATE TABLE IF NOT EXISTS embsql.cohorts (
    cohort_set STRING, user_id STRING, cohort STRING
) USING parquet;
