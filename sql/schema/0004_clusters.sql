-- Groups of a run's vectors, and maps of them. A run may have several clusterings, by name, and a map by each method.

CREATE TABLE embsql.clusters (
    run_id BIGINT NOT NULL,
    entity_kind VARCHAR NOT NULL,     -- item or user
    clustering_name VARCHAR NOT NULL,
    cluster_id INTEGER NOT NULL,      -- from 0, the largest first
    size BIGINT NOT NULL,
    radius FLOAT8 NOT NULL,           -- root of the mean squared distance of its members
    label VARCHAR,                    -- the category that sets it apart; NULL: it goes by its most popular members
    unit_length BOOLEAN NOT NULL,     -- whether directions were clustered, or vectors as they are
    centroid FLOAT[] NOT NULL
);

CREATE TABLE embsql.cluster_members (
    run_id BIGINT NOT NULL,
    entity_kind VARCHAR NOT NULL,
    clustering_name VARCHAR NOT NULL,
    entity_id VARCHAR NOT NULL,
    cluster_id INTEGER NOT NULL,
    distance FLOAT8 NOT NULL,         -- to the centroid
    silhouette FLOAT8 NOT NULL,       -- 1 amid its own cluster, 0 halfway to the next
    top_rank INTEGER                  -- among the most popular members of its cluster, from 1; NULL for the others
);

CREATE TABLE embsql.maps (
    run_id BIGINT NOT NULL,
    entity_kind VARCHAR NOT NULL,
    method_name VARCHAR NOT NULL,     -- pca umap tsne
    entity_id VARCHAR NOT NULL,
    x FLOAT8 NOT NULL,
    y FLOAT8 NOT NULL
);
