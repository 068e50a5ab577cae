-- questions
-- Every question that can be asked, in SQL. embsql.help(...) finds one of them.
-- name: the question
-- category: what it is about
-- arguments: its arguments with their types, and their defaults where they may be left out
-- columns: what it answers: columns with their types, or the type of a single value
-- meaning: what it answers, in words
-- example: a call of it, with a model and ids of the shop that embsql demo makes
SELECT
  known.name AS name,
  known.category AS category,
  known.arguments AS arguments,
  known.columns AS columns,
  known.meaning AS meaning,
  known.example AS example
FROM (
  VALUES
{% for question in questions %}
    (
      {{ question.name | literal }},
      {{ question.chapter | literal }},
      {{ question.arguments | join(", ") | literal }},
      {{ question.answer | literal }},
      {{ question.doc | replace("\n", " ") | literal }},
      {{ question.demo_example | literal }}
    ){{ "," if not loop.last }}
{% endfor %}
) AS known (name, category, arguments, columns, meaning, example)
