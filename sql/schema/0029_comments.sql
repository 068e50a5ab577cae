-- What each table and column holds, for who browses the schema.

COMMENT ON TABLE embsql.models IS 'Every model: which of its runs is live. Read it through embsql.models().';
COMMENT ON COLUMN embsql.models.model_name IS 'the model';
COMMENT ON COLUMN embsql.models.live_run IS 'the run that questions answer from; NULL where none is live';
COMMENT ON COLUMN embsql.models.earlier_runs IS 'runs that were live before, the latest last, for rollback';
COMMENT ON COLUMN embsql.models.updated_at IS 'when the live run last changed, UTC';

COMMENT ON TABLE embsql.runs IS 'Every training run of every model. Read it through embsql.runs(model).';
COMMENT ON COLUMN embsql.runs.run_id IS 'the run''s number';
COMMENT ON COLUMN embsql.runs.model_name IS 'its model';
COMMENT ON COLUMN embsql.runs.algorithm IS 'what it was trained by';
COMMENT ON COLUMN embsql.runs.params IS 'every option with the value used, as JSON';
COMMENT ON COLUMN embsql.runs.source_sql IS 'the source that was read';
COMMENT ON COLUMN embsql.runs.source_hash IS 'a hash of what was read, by which unchanged input is recognized';
COMMENT ON COLUMN embsql.runs.seed IS 'the seed of all randomness';
COMMENT ON COLUMN embsql.runs.dim IS 'numbers per vector';
COMMENT ON COLUMN embsql.runs.similarity IS 'dot or cosine: how two vectors make a score';
COMMENT ON COLUMN embsql.runs.status IS 'training, ready, failed or cancelled; what is live stands in models';
COMMENT ON COLUMN embsql.runs.users IS 'users with a vector';
COMMENT ON COLUMN embsql.runs.items IS 'items with a vector';
COMMENT ON COLUMN embsql.runs.interactions IS 'pairs of user and item';
COMMENT ON COLUMN embsql.runs.checksum IS 'a hash of the vectors';
COMMENT ON COLUMN embsql.runs.error IS 'why it failed, or why its gate kept it from being live';
COMMENT ON COLUMN embsql.runs.versions IS 'versions of packages, threads and device, as JSON';
COMMENT ON COLUMN embsql.runs.started_at IS 'UTC';
COMMENT ON COLUMN embsql.runs.finished_at IS 'UTC';
COMMENT ON COLUMN embsql.runs.user_col IS 'the source''s column of user ids';
COMMENT ON COLUMN embsql.runs.item_col IS 'the source''s column of item ids';
COMMENT ON COLUMN embsql.runs.weight_col IS 'the source''s column of weights';
COMMENT ON COLUMN embsql.runs.time_col IS 'the source''s column of times';
COMMENT ON COLUMN embsql.runs.made_by IS 'who asked for it';
COMMENT ON COLUMN embsql.runs.held IS 'how often it was changed, for whoever changes it';
COMMENT ON COLUMN embsql.runs.phase IS 'what it does while it is trained';
COMMENT ON COLUMN embsql.runs.phase_seconds IS 'the seconds that each phase took';

COMMENT ON TABLE embsql.item_embeddings IS 'The vectors of items, of every run. Read the live ones through embsql.item_embedding(model).';

COMMENT ON TABLE embsql.user_embeddings IS 'The vectors of users, of every run. Read the live ones through embsql.user_embedding(model).';

COMMENT ON TABLE embsql.interactions IS 'What each run was trained on: one row for each pair of user and item.';
COMMENT ON COLUMN embsql.interactions.run_id IS 'the run';
COMMENT ON COLUMN embsql.interactions.user_id IS 'the user';
COMMENT ON COLUMN embsql.interactions.item_id IS 'the item';
COMMENT ON COLUMN embsql.interactions.weight IS 'the sum of the pair''s weights';
COMMENT ON COLUMN embsql.interactions.last_time IS 'the pair''s latest time, in microseconds since 1970 or in the source''s own order; NULL without times';

COMMENT ON TABLE embsql.training_log IS 'Figures of each epoch. Read it through embsql.training_log(model).';
COMMENT ON COLUMN embsql.training_log.run_id IS 'the run';
COMMENT ON COLUMN embsql.training_log.epoch IS 'counted from 1';
COMMENT ON COLUMN embsql.training_log.metric IS 'for example loss';
COMMENT ON COLUMN embsql.training_log.value IS 'its value';
COMMENT ON COLUMN embsql.training_log.logged_at IS 'UTC';

COMMENT ON TABLE embsql.metrics IS 'What evaluations measured. Read it through embsql.evaluation(model).';
COMMENT ON COLUMN embsql.metrics.run_id IS 'the run';
COMMENT ON COLUMN embsql.metrics.split IS 'how pairs were held out';
COMMENT ON COLUMN embsql.metrics.segment IS 'which users: all, or a part of them';
COMMENT ON COLUMN embsql.metrics.metric IS 'for example ndcg';
COMMENT ON COLUMN embsql.metrics.k IS 'length of the lists';
COMMENT ON COLUMN embsql.metrics.value IS 'the run''s figure';
COMMENT ON COLUMN embsql.metrics.popular_value IS 'that of recommending what is popular';
COMMENT ON COLUMN embsql.metrics.itemknn_value IS 'that of item-kNN';
COMMENT ON COLUMN embsql.metrics.ci_low IS 'the 95% interval''s lower end';
COMMENT ON COLUMN embsql.metrics.ci_high IS 'the 95% interval''s upper end';

COMMENT ON TABLE embsql.source_checks IS 'What each run found in its source. Read it through embsql.validation(model).';
COMMENT ON COLUMN embsql.source_checks.run_id IS 'the run';
COMMENT ON COLUMN embsql.source_checks.check_name IS 'what was looked for';
COMMENT ON COLUMN embsql.source_checks.severity IS 'error, warning, info or ok';
COMMENT ON COLUMN embsql.source_checks.affected IS 'rows, users or items that it is about';
COMMENT ON COLUMN embsql.source_checks.example IS 'one of them';
COMMENT ON COLUMN embsql.source_checks.hint IS 'what to do';

COMMENT ON TABLE embsql.gates IS 'What decided whether a run became live. Read it through embsql.gate(model).';
COMMENT ON COLUMN embsql.gates.run_id IS 'the run';
COMMENT ON COLUMN embsql.gates.verdict IS 'passed, refused or off';
COMMENT ON COLUMN embsql.gates.split IS 'how pairs were held out';
COMMENT ON COLUMN embsql.gates.metric IS 'what was compared';
COMMENT ON COLUMN embsql.gates.k IS 'length of the lists';
COMMENT ON COLUMN embsql.gates.value IS 'the run''s figure';
COMMENT ON COLUMN embsql.gates.popular_value IS 'that of recommending what is popular';
COMMENT ON COLUMN embsql.gates.compared_run IS 'the run that was live';
COMMENT ON COLUMN embsql.gates.basis IS 'what stood for the live run: vectors, options, same or none';
COMMENT ON COLUMN embsql.gates.users IS 'users that both were asked about';
COMMENT ON COLUMN embsql.gates.left_out IS 'users whom the evaluation asks and the comparison does not';
COMMENT ON COLUMN embsql.gates.new_value IS 'the run''s figure for these';
COMMENT ON COLUMN embsql.gates.live_value IS 'the live run''s figure for these';
COMMENT ON COLUMN embsql.gates.difference IS 'new less live';
COMMENT ON COLUMN embsql.gates.ci_low IS 'the difference''s interval, lower end';
COMMENT ON COLUMN embsql.gates.ci_high IS 'the difference''s interval, upper end';
COMMENT ON COLUMN embsql.gates.tolerance IS 'the share of live_value that the run may be below';
COMMENT ON COLUMN embsql.gates.reason IS 'why it was refused, or why nothing was compared';

COMMENT ON TABLE embsql.trials IS 'Settings that a search tried. Read it through embsql.trials(model).';
COMMENT ON COLUMN embsql.trials.run_id IS 'the run';
COMMENT ON COLUMN embsql.trials.trial IS 'counted from 1';
COMMENT ON COLUMN embsql.trials.params IS 'the options tried, as JSON';
COMMENT ON COLUMN embsql.trials.metric IS 'what decides, for example ndcg@10';
COMMENT ON COLUMN embsql.trials.value IS 'its figure';
COMMENT ON COLUMN embsql.trials.seconds IS 'what the trial took';
COMMENT ON COLUMN embsql.trials.status IS 'done or failed';
COMMENT ON COLUMN embsql.trials.error IS 'why it failed';

COMMENT ON TABLE embsql.leases IS 'Who trains which model now. A lease without signs of life is taken over.';
COMMENT ON COLUMN embsql.leases.model_name IS 'the model';
COMMENT ON COLUMN embsql.leases.owner IS 'a random name of the trainer';
COMMENT ON COLUMN embsql.leases.run_id IS 'the run in training';
COMMENT ON COLUMN embsql.leases.host IS 'the trainer''s machine';
COMMENT ON COLUMN embsql.leases.pid IS 'its process';
COMMENT ON COLUMN embsql.leases.cancelled IS 'whether somebody wants it to stop';
COMMENT ON COLUMN embsql.leases.heartbeat_at IS 'its last sign of life, UTC';
COMMENT ON COLUMN embsql.leases.expires_at IS 'when it may be taken over, UTC';
COMMENT ON COLUMN embsql.leases.process IS 'when the process began, which tells it from a later one of the same number';

COMMENT ON TABLE embsql.events IS 'The audit trail: what was promoted, rolled back, dropped, forgotten.';
COMMENT ON COLUMN embsql.events.logged_at IS 'UTC';
COMMENT ON COLUMN embsql.events.model_name IS 'the model';
COMMENT ON COLUMN embsql.events.run_id IS 'the run';
COMMENT ON COLUMN embsql.events.event IS 'what was done';
COMMENT ON COLUMN embsql.events.detail IS 'more about it';

COMMENT ON TABLE embsql.clusters IS 'The groups of every clustering. Read them through embsql.clusters(model).';
COMMENT ON COLUMN embsql.clusters.run_id IS 'the run';
COMMENT ON COLUMN embsql.clusters.entity_kind IS 'item or user';
COMMENT ON COLUMN embsql.clusters.clustering_name IS 'the clustering';
COMMENT ON COLUMN embsql.clusters.cluster_id IS 'the group';
COMMENT ON COLUMN embsql.clusters.size IS 'members';
COMMENT ON COLUMN embsql.clusters.radius IS 'root of the members'' mean squared distance from the centroid';
COMMENT ON COLUMN embsql.clusters.label IS 'what the group is called';
COMMENT ON COLUMN embsql.clusters.unit_length IS 'whether directions were grouped, or vectors as they are';
COMMENT ON COLUMN embsql.clusters.centroid IS 'the group''s center';

COMMENT ON TABLE embsql.cluster_members IS 'Which group each item or user is in. Read it through embsql.cluster_members(model).';
COMMENT ON COLUMN embsql.cluster_members.run_id IS 'the run';
COMMENT ON COLUMN embsql.cluster_members.entity_kind IS 'item or user';
COMMENT ON COLUMN embsql.cluster_members.clustering_name IS 'the clustering';
COMMENT ON COLUMN embsql.cluster_members.entity_id IS 'the item or user';
COMMENT ON COLUMN embsql.cluster_members.cluster_id IS 'the group';
COMMENT ON COLUMN embsql.cluster_members.distance IS 'from its centroid';
COMMENT ON COLUMN embsql.cluster_members.silhouette IS 'how clearly it belongs there, -1 to 1';
COMMENT ON COLUMN embsql.cluster_members.top_rank IS 'among the group''s most popular members, from 1; NULL for the others';

COMMENT ON TABLE embsql.maps IS 'Points in the plane for items or users. Read them through embsql.map(model).';
COMMENT ON COLUMN embsql.maps.run_id IS 'the run';
COMMENT ON COLUMN embsql.maps.entity_kind IS 'item or user';
COMMENT ON COLUMN embsql.maps.method_name IS 'pca, umap or tsne';
COMMENT ON COLUMN embsql.maps.entity_id IS 'the item or user';
COMMENT ON COLUMN embsql.maps.x IS 'to the right';
COMMENT ON COLUMN embsql.maps.y IS 'upwards';

COMMENT ON TABLE embsql.cohorts IS 'Sets of cohorts of your own: write who is in which.';
COMMENT ON COLUMN embsql.cohorts.cohort_set IS 'the set''s name';
COMMENT ON COLUMN embsql.cohorts.user_id IS 'the user, as text';
COMMENT ON COLUMN embsql.cohorts.cohort IS 'the cohort''s name';

COMMENT ON TABLE embsql.top_items IS 'The best items of each user, for joins; written by embsql.materialize.';
COMMENT ON COLUMN embsql.top_items.run_id IS 'the run';
COMMENT ON COLUMN embsql.top_items.user_id IS 'the user';
COMMENT ON COLUMN embsql.top_items.rank IS '1 is the best';
COMMENT ON COLUMN embsql.top_items.item_id IS 'the item';
COMMENT ON COLUMN embsql.top_items.score IS 'the model''s score';

COMMENT ON TABLE embsql.neighbors IS 'The nearest items of each item, for joins; written by embsql.materialize.';
COMMENT ON COLUMN embsql.neighbors.run_id IS 'the run';
COMMENT ON COLUMN embsql.neighbors.entity IS 'item or user';
COMMENT ON COLUMN embsql.neighbors.entity_id IS 'whose neighbors';
COMMENT ON COLUMN embsql.neighbors.rank IS '1 is the nearest';
COMMENT ON COLUMN embsql.neighbors.neighbor_id IS 'the neighbor';
COMMENT ON COLUMN embsql.neighbors.score IS 'the cosine';

COMMENT ON TABLE embsql.graph_edges IS 'Edges between items that a run walked on.';
COMMENT ON COLUMN embsql.graph_edges.run_id IS 'the run';
COMMENT ON COLUMN embsql.graph_edges.source_node IS 'from this item';
COMMENT ON COLUMN embsql.graph_edges.target_node IS 'to this item';
COMMENT ON COLUMN embsql.graph_edges.weight IS 'of the edge';

COMMENT ON TABLE embsql.fold_in_settings IS 'Internal: how a run folds a history in.';
COMMENT ON COLUMN embsql.fold_in_settings.run_id IS 'the run';
COMMENT ON COLUMN embsql.fold_in_settings.kind IS 'least_squares, projection or mean';
COMMENT ON COLUMN embsql.fold_in_settings.settings IS 'their numbers';

COMMENT ON TABLE embsql.item_gramian IS 'Internal: products of all item vectors, for folding a history in.';
COMMENT ON COLUMN embsql.item_gramian.run_id IS 'the run';
COMMENT ON COLUMN embsql.item_gramian.position IS 'the row';
COMMENT ON COLUMN embsql.item_gramian.entries IS 'the row''s numbers';

COMMENT ON TABLE embsql.item_weights IS 'Internal: how much each item counts when a history is folded in.';
COMMENT ON COLUMN embsql.item_weights.run_id IS 'the run';
COMMENT ON COLUMN embsql.item_weights.item_id IS 'the item';
COMMENT ON COLUMN embsql.item_weights.scale IS 'its weight';

COMMENT ON TABLE embsql.tower_features IS 'Internal: what a tower makes of each feature.';
COMMENT ON COLUMN embsql.tower_features.run_id IS 'the run';
COMMENT ON COLUMN embsql.tower_features.entity IS 'item or user';
COMMENT ON COLUMN embsql.tower_features.feature IS 'the feature';
COMMENT ON COLUMN embsql.tower_features.kind IS 'category, tags, text, number, time, items or always';
COMMENT ON COLUMN embsql.tower_features.value IS 'a known value; NULL for what is missing or unknown';
COMMENT ON COLUMN embsql.tower_features.center IS 'a number''s mean';
COMMENT ON COLUMN embsql.tower_features.scale IS 'a number''s standard deviation';
COMMENT ON COLUMN embsql.tower_features.embedding IS 'what it adds to the first layer';

COMMENT ON TABLE embsql.tower_layers IS 'Internal: the layers of a tower.';
COMMENT ON COLUMN embsql.tower_layers.run_id IS 'the run';
COMMENT ON COLUMN embsql.tower_layers.entity IS 'item or user';
COMMENT ON COLUMN embsql.tower_layers.layer IS 'counted from the input';
COMMENT ON COLUMN embsql.tower_layers.position IS 'the row';
COMMENT ON COLUMN embsql.tower_layers.weights IS 'the row''s numbers';
COMMENT ON COLUMN embsql.tower_layers.bias IS 'the row''s bias';

COMMENT ON TABLE embsql.text_vectors IS 'Internal: vectors of texts, so that none is read twice.';
COMMENT ON COLUMN embsql.text_vectors.content IS 'SHA-256 of the encoder''s files and the text';
COMMENT ON COLUMN embsql.text_vectors.embedding IS 'the text''s vector';

COMMENT ON TABLE embsql.forgotten IS 'Internal: who was forgotten, by salted hashes, so that a training in flight leaves them out.';
COMMENT ON COLUMN embsql.forgotten.run_id IS 'the run that has still to be cleared of them';
COMMENT ON COLUMN embsql.forgotten.salt IS 'of the hash';
COMMENT ON COLUMN embsql.forgotten.person IS 'SHA-256 of the salt and the id';

COMMENT ON TABLE embsql.migrations IS 'Internal: schema files that were run here.';
COMMENT ON COLUMN embsql.migrations.file_name IS 'the file';
COMMENT ON COLUMN embsql.migrations.checksum IS 'of its text';

COMMENT ON TABLE embsql.surface IS 'Internal: which version of the questions is installed.';
COMMENT ON COLUMN embsql.surface.surface IS 'a hash of them';
