-- Groups of a run's vectors, and maps of them. A run may have several clusterings, by name, and a map by each method.

CREATE TABLE embsql.clusters (
    run_id bigint NOT NULL,
    entity_kind text NOT NULL CHECK (entity_kind IN ('item', 'user')),
    clustering_name text COLLATE "C" NOT NULL,
    cluster_id integer NOT NULL,      -- from 0, the largest first
    size bigint NOT NULL,
    radius double precision NOT NULL, -- root of the mean squared distance of its members
    label text,                       -- the category that sets it apart; NULL: it goes by its most popular members
    unit_length boolean NOT NULL,     -- whether directions were clustered, or vectors as they are
    centroid vector NOT NULL,
    PRIMARY KEY (run_id, entity_kind, clustering_name, cluster_id)
);

CREATE TABLE embsql.cluster_members (
    run_id bigint NOT NULL,
    entity_kind text NOT NULL CHECK (entity_kind IN ('item', 'user')),
    clustering_name text COLLATE "C" NOT NULL,
    entity_id text COLLATE "C" NOT NULL,
    cluster_id integer NOT NULL,
    distance double precision NOT NULL,   -- to the centroid
    silhouette double precision NOT NULL, -- 1 amid its own cluster, 0 halfway to the next
    top_rank integer,                     -- among the most popular members of its cluster, from 1; NULL for the others
    PRIMARY KEY (run_id, entity_kind, clustering_name, entity_id)
);

CREATE INDEX ON embsql.cluster_members (run_id, entity_kind, clustering_name) WHERE top_rank IS NOT NULL;

CREATE TABLE embsql.maps (
    run_id bigint NOT NULL,
    entity_kind text NOT NULL CHECK (entity_kind IN ('item', 'user')),
    method_name text COLLATE "C" NOT NULL, -- pca umap tsne
    entity_id text COLLATE "C" NOT NULL,
    x double precision NOT NULL,
    y double precision NOT NULL,
    PRIMARY KEY (run_id, entity_kind, method_name, entity_id)
);
