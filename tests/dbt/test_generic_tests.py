"""Each generic test passes what is right, and fails what it is there to find."""

from __future__ import annotations

SCHEMA = """
models:
  - name: vectors
    columns:
      - name: id
        data_tests:
          - embsql.no_orphan_ids: {name: no_orphan, arguments: {to: ref('known'), field: id}}
          - embsql.coverage_at_least:
              name: covered
              arguments: {to: ref('known'), field: id, at_least: 0.9}
          - embsql.coverage_at_least:
              name: half_covered
              arguments: {to: ref('known'), field: id, at_least: 0.5}
      - name: good
        data_tests:
          - embsql.vector_dim: {name: good_dim, arguments: {dim: 2}}
          - embsql.vector_finite: {name: good_finite}
          - embsql.no_zero_vectors: {name: good_length}
      - name: bad
        data_tests:
          - embsql.vector_dim: {name: bad_dim, arguments: {dim: 3}}
          - embsql.vector_finite: {name: bad_finite}
          - embsql.no_zero_vectors: {name: bad_length}
          - embsql.no_zero_vectors: {name: few_are_zero, arguments: {at_most: 0.7}}
  - name: shop
    data_tests:
      - embsql.metric_at_least:
          name: metric_reached
          arguments: {metric: "recall@10", at_least: 0.01}
      - embsql.metric_at_least:
          name: metric_missed
          arguments: {metric: "recall@10", at_least: 1.01}
      - embsql.metric_at_least:
          name: metric_unknown
          arguments: {metric: "recall@99", at_least: 0.01}
      - embsql.beats_popular: {name: beats_by_little, arguments: {metric: "coverage@10"}}
      - embsql.beats_popular: {name: beats_by_far, arguments: {metric: "coverage@10", by: 1}}
      - embsql.drift_below: {name: drifted, arguments: {at_most: -1}}
      - embsql.drift_below: {name: moved_little, arguments: {at_most: 2}}
      - embsql.drift_below:
          name: kept_neighbors
          arguments: {at_most: 1, by: overlap, entity: user}
      - embsql.fresh_within: {name: fresh, arguments: {hours: 1}}
      - embsql.fresh_within: {name: stale, arguments: {hours: 0}}
"""
FAIL = {"no_orphan", "covered", "bad_dim", "bad_finite", "bad_length"} | {
    "metric_missed",
    "metric_unknown",
    "beats_by_far",
    "drifted",
    "stale",
}
EVENTS = "select user_id, item_id, weight from {{ ref('events') }}"


def test_every_generic_test_can_fail_and_can_pass(project) -> None:
    duckdb = project.target == "duckdb"
    project.model("known", "select 1 as id union all select 2 union all select 3")
    if duckdb:
        rows = (
            "('1', [1.0, 0.0], [0.0, 0.0]), ('9', [0.5, 0.5], ['NaN'::float, 1.0]), "
            "('2', [1.0, 1.0], [1.0, 1.0])"
        )
        kind = "float[]"
    else:
        rows = "('1', '{1,0}', '{0,0}'), ('9', '{0.5,0.5}', '{NaN,1}'), ('2', '{1,1}', '{1,1}')"
        kind = "vector"
    bad = "float[]" if duckdb else "real[]"
    project.model(
        "vectors",
        f"select id, cast({'good' if duckdb else 'cast(good as real[])'} "
        f"as {kind}) as good, cast(bad as {bad}) as bad "
        f"from (values {rows}) as v(id, good, bad)",
    )
    project.model("shop", EVENTS, dim=4, evaluate=True, gate=False, split="random")
    project.dbt("build")
    project.model("shop", EVENTS, dim=6, evaluate=True, gate=False, split="random")
    (project.folder / "models" / "schema.yml").write_text(SCHEMA)
    results = project.dbt("build", succeeds=False).results
    ends = {
        name: result["status"]
        for name, result in results.items()
        if result["unique_id"].startswith("test.")
    }
    assert len(ends) == 20
    assert {name for name, status in ends.items() if status == "error"} == set(), (
        results
    )
    assert {name for name, status in ends.items() if status == "fail"} == FAIL
