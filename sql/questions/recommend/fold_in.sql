-- fold_in(model text, items text[], weights double[] = NULL, times timestamp[] = NULL)
--   -> vector
-- The user vector of a history: what training would give a user with these items, found without training.
-- A run of als solves the user's own system of equations exactly (training comes near it step by step), one of svd
-- projects as its training does, a network (of gru4rec, sasrec and bert4rec, of youtube_dnn with hidden_layers or
-- time_features, and of neural_content with encoder gru) reads the items in the order given, the latest max_length of
-- them, and any other run takes the mean of the items' vectors by weight.
-- weights are as in training: one per item, 1 each when left out; ratings for a run of ratings, where they
-- default to the highest there is. Unknown items are left out, an item given twice counts with both weights (a
-- rating with the mean of the two). A weight that is NULL, or 0 where nothing is rated, leaves its item out; one that is
-- NaN, infinite or above 3e38, a negative one that is no rating, and fewer or more weights than items are errors. NULL
-- when no item is known.
-- A network reads unknown items as if they were not there, and all others whatever their weight; that of neural_content
-- an item given twice once, as the last time. times says when each was, for a network that was trained with
-- time_features; when left out, all are of the last time it was trained on.
-- example: SELECT embsql.fold_in('shop', ARRAY['mug-03', 'tea-01']) AS embedding;
SELECT history.embedding AS embedding
FROM given
CROSS JOIN LATERAL embsql_internal.history_vector(
  (SELECT embsql.live_run(:model)), :items, :weights, :times
) AS history
