-- help(topic text = NULL)
--   -> (question text, arguments text, columns text, meaning text, example text)
-- What can be asked: every question with its arguments, what it answers, and an example; or the one named. A name that
-- is none is an error, which says which is meant. The view embsql.questions has the same, and what each is about.
-- example: SELECT question, arguments, example FROM embsql.help('recommend');
WITH asked AS (
  SELECT embsql_internal.known_question(:topic, (SELECT array_agg(other.name) FROM embsql.questions AS other)) AS name
  FROM given
)
SELECT
  known.name AS question,
  known.arguments AS arguments,
  known.columns AS columns,
  known.meaning AS meaning,
  known.example AS example
FROM asked
JOIN embsql.questions AS known ON known.name = coalesce(asked.name, known.name)
ORDER BY known.name ASC
