"""Films that are liked by the same people: trains on MovieLens ratings of 4 and 5, and asks in SQL.

Usage: python examples/movielens/run.py [FOLDER] [DATABASE]

FOLDER holds interactions.parquet (user_id, movie_id, rating, rated_at) and movies.parquet
(movie_id, title, genres).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import embsql

DATA = Path(
    os.environ.get("EMBSQL_DATA", Path(__file__).parents[3] / "shared" / "data")
)

TABLES = """
CREATE OR REPLACE TABLE ratings AS SELECT * FROM '{folder}/interactions.parquet';
CREATE OR REPLACE TABLE films AS
SELECT CAST(movie_id AS VARCHAR) AS film_id, title, genres FROM '{folder}/movies.parquet';
"""

LIKED = """
SELECT user_id, movie_id AS item_id, rated_at AS event_time
FROM ratings
WHERE rating >= 4
"""

QUESTIONS = {
    "How good is it, compared with recommending what is popular and with item-kNN?": """
SELECT metric, value, ci_low, ci_high, popular_value, itemknn_value
FROM embsql.evaluation('films')
WHERE segment = 'all' AND k = 10 AND metric IN ('ndcg', 'recall', 'coverage')
""",
    "What is like Alien?": """
SELECT answer.rank, film.title, film.genres, answer.score
FROM embsql.similar_items('films', (SELECT film_id FROM films WHERE title = 'Alien (1979)'), k => 5) AS answer
JOIN films AS film ON film.film_id = answer.item_id
ORDER BY answer.rank
""",
    "What did user 42 like last?": """
SELECT film.title, film.genres
FROM embsql.interactions AS past
JOIN films AS film ON film.film_id = past.item_id
WHERE past.run_id = embsql.live_run('films') AND past.user_id = '42'
ORDER BY past.last_time DESC NULLS LAST, past.item_id
LIMIT 5
""",
    "And what next?": """
SELECT best.rank, film.title, film.genres, best.score
FROM embsql.recommend('films', 42, k => 5) AS best
JOIN films AS film ON film.film_id = best.item_id
ORDER BY best.rank
""",
    "Why the first of them?": """
SELECT film.title, reason.share
FROM embsql.explain('films', 42, (SELECT item_id FROM embsql.recommend('films', 42, k => 1))) AS reason
JOIN films AS film ON film.film_id = reason.item_id
ORDER BY reason.share DESC
LIMIT 3
""",
    "Tonight: a comedy, please.": """
SELECT best.rank, film.title, best.score
FROM embsql.recommend('films', 42, k => 3, candidates => (
    SELECT list(film_id) FROM films WHERE genres LIKE '%Comedy%'
)) AS best
JOIN films AS film ON film.film_id = best.item_id
ORDER BY best.rank
""",
}


def main(folder: str = str(DATA / "ml1m"), path: str = ":memory:") -> None:
    """Train and ask."""
    if not Path(folder, "interactions.parquet").exists():
        sys.exit(
            f"there is no interactions.parquet in {folder}. Give the folder that has it: "
            "python examples/movielens/run.py FOLDER"
        )
    with embsql.connect(path) as db:
        db.sql(TABLES.format(folder=folder.replace("'", "''")))
        run = db.train("films", LIKED, algorithm="als", evaluate=True)
        print(f"run {run.run_id} is {run.status}\n")
        for question, sql in QUESTIONS.items():
            print(f"{question}\n{sql}\n{db.ask(sql)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
