"""A map or a clustering that was never made is an error: what there is, and how to make it."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from embsql.errors import EmbsqlError, Refused

NEVER = {  # what is asked -> what the message says
    "embsql.map('angles')": 'run 2 of model "angles" has no map by pca of its items. Make',
    "embsql.map('compass', method => 'umap')": "has no map by umap of its items; it has: item pca.",
    "embsql.map('compass', entity => 'user')": "has no map by pca of its users; it has: item pca.",
    "embsql.clusters('compass@1', clustering => 'o''dd')": (
        'has no clustering "o\'dd" of its items; it has: item default, item far.'
    ),
    "embsql.cluster_members('angles', entity => 'user')": 'no clustering "default" of its users. ',
    "embsql.nearest_cluster('angles', ARRAY[1.0, 2.0])": 'no clustering "default" of its items. ',
    "embsql.map('compass', entity => 'thing')": 'entity is item or user, got "thing"',
    "embsql.map('compass', method => 'tnse')": 'method is pca, umap or tsne, got "tnse"',
    "embsql.clusters('compass', clustering => NULL)": "clustering is the name of one, got NULL",
}


@pytest.mark.parametrize("call", NEVER)
def test_what_was_never_made_is_an_error(known, call: str) -> None:
    with pytest.raises(Refused, match=re.escape(NEVER[call])):
        known.ask(f"SELECT * FROM {call}")


def test_a_name_is_one_word_in_a_shell_and_in_python(known) -> None:
    name = """it's "$(x)" \\"""
    message = refusal(
        known, "embsql.clusters('angles', clustering => $name)", name=name
    )
    shell = re.search(r"in a shell: (.*); or in Python: ", message)[1]
    assert shlex.split(shell)[-2:] == ["--clustering", name]
    assert json.loads(re.search(r"clustering=(\".*\")\)$", message)[1]) == name


def test_of_a_misspelt_question_the_right_one_is_named(known) -> None:
    with pytest.raises(
        Refused, match=r'no question named "recomend"\. Did you mean "recommend"'
    ):
        known.ask("SELECT * FROM embsql.help('recomend')")
    with pytest.raises(EmbsqlError, match=r'recomend.*Did you mean "recommend"'):
        known.ask("SELECT * FROM embsql.recomend('compass', 'ada')")
    with pytest.raises(EmbsqlError, match=r"recommend\(model.*for_user.*k"):
        known.ask("SELECT * FROM embsql.recommend('compass')")


def refusal(known, call: str, **values: str) -> str:
    with pytest.raises(EmbsqlError) as refused:
        known.ask(f"SELECT * FROM {call}", **values)
    return str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        "embsql.map('angles', entity => 'user')",
        "embsql.clusters('angles', clustering => 'o''dd')",
    ],
)
def test_the_remedy_works_as_it_is_typed(known, call: str) -> None:
    """In a file its SQL; on a server, where that waits for a worker, its Python."""
    message = refusal(known, call)
    if known.engine.embedded:
        known.sql(re.search(r"CALL .*?\);", message)[0])
    else:
        assert re.search(r"SELECT embsql\.\w+\('angles', .*?\);", message)
        method, words = re.search(r"db\.(\w+)\((.*)\)", message).groups()
        name, *options = re.findall(r"\"([^\"]*)\"", words)
        names = re.findall(r"(\w+)=", words)
        getattr(known, method)(name, **dict(zip(names, options, strict=True)))
    assert known.ask(f"SELECT * FROM {call}").num_rows
