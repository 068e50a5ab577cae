"""Schema files never change once they have run somewhere: a change is a file with a new number."""

from __future__ import annotations

import pytest

import embsql
from embsql import errors
from embsql.sqlfiles.files import Migration, folder

FROZEN = {
    "0001_registry.sql": "3fe8600d97cd8d6febc3a4b4cab22f47",
    "0002_vectors.postgres.sql": "f4bfc4edef8cd4515fd31e391691c284",
    "0002_vectors.sql": "7dbb2ee4b687d45b578b89245c7726b6",
    "0003_jobs.postgres.sql": "b53107a94f92a7a5b7af8bcf78b5a132",
    "0004_clusters.postgres.sql": "d3d51faba5331d02d8f57511ec29a1c5",
    "0004_clusters.sql": "e7729efd23593f949153c96d1c0f6249",
    "0005_cohorts.postgres.sql": "b163f943726dda900e5600419e7e925b",
    "0005_cohorts.sql": "80ad69da3c68175d0d0c0960494c3a7b",
    "0006_topk.postgres.sql": "05d187f146010682ff03efbe6ca2cbf2",
    "0006_topk.sql": "2cfbeb86cbd43ab891a32d6792e46fbb",
    "0007_fold_in.postgres.sql": "ea483ed27de3691928ac6417c7261b20",
    "0007_fold_in.sql": "bdb1359022318466c07cffc295cecd7a",
    "0008_towers.postgres.sql": "aa9c82885c77b5ff386e5ae598b80a60",
    "0008_towers.sql": "45e619b3a055ed7ded581d320ab9fc5c",
    "0009_graph.postgres.sql": "0130ffbb75db7efebf24b7b1c7a40f7f",
    "0009_graph.sql": "08d9e8822c6865005bcf155895b278e6",
    "0010_trials.sql": "746ccc0698c8825270cd80d5c498a4bc",
    "0011_texts.postgres.sql": "fae2ef64251cb4ab3871e228563ef6b2",
    "0011_texts.sql": "ff2e27bee7233609e25505ed9e20dd1d",
    "0012_gates.sql": "db56fbb3c8cde307f2fca36e51dd3619",
    "0013_arguments.postgres.sql": "ecbc19107fddb94f77f30726364e28d7",
    "0014_columns.sql": "bfec2333ea0e83481760bf7cdad1fabd",
    "0016_partitions.postgres.sql": "c51ee872f0c9238b349da4d5bf1b5e5f",
    "0017_sources.postgres.sql": "9810d7f6b233b9d2c1c74cbadaa492e5",
    "0018_rights.postgres.sql": "4082d8d91cc73d97e1c2b01a015d4d95",
    "0018_rights.sql": "e6c4fac9bf46b24c0bb53504f308aff1",
    "0021_forgotten.postgres.sql": "bf1274f5d1f9beb04feb1dd7b1534808",
    "0021_forgotten.sql": "a1fb481ef8524bdf99f440f6edfd13c3",
    "0022_removal.postgres.sql": "51d7780523ffcc433c2469f1ee5b22a9",
    "0022_removal.sql": "e0eb023181f9e3bc2d8e035a6002e382",
    "0023_processes.sql": "7de75b474e81f812299f8356658b63ed",
    "0024_owners.postgres.sql": "0b0c5518a69ee5ba24b0dc87e52b1b7e",
    "0025_calls.postgres.sql": "794a62912d46d7ffc5e1137f7753b088",
    "0026_names.postgres.sql": "6fd218fa872cea3e0dec6b0d4d5f5eec",
    "0026_names.sql": "1939ababcef7c57f090b548d1f619e23",
    "0027_phases.postgres.sql": "7857e012204a96ccb62843eed05d8d55",
    "0027_phases.sql": "4f661fb1a146bfab8102dd92b91e6f36",
    "0028_fold_in.duckdb.sql": "9e0afbd74898a301db78cbf7f10fb897",
    "0029_comments.sql": "6def8b6b99542bc02d33f9707d45dc91",
    "0030_comments_of_one_engine.duckdb.sql": "ce4c556c42ce7be3452f2e16f2919430",
    "0030_comments_of_one_engine.postgres.sql": "76c681b1dcefe61bb5fd666df9338f03",
    "0031_internal.duckdb.sql": "6cc010549dc9eb2b3340810f50ea8e6b",
    "0031_internal.postgres.sql": "377331e0d0a099bd0be8aa350159bdb7",
    "0033_run_records.sql": "62e53a96cd0e99cde4c759b42ad4ed70",
    "0035_fresh.duckdb.sql": "a4fed445cee724de5c66edbafc19a24c",
    "0035_fresh.postgres.sql": "b1d37d6ea5f6d0cd1622a10e348f6442",
    "0037_freshness.postgres.sql": "063152ee67b59226e21c5fd56af5d6a4",
    "0034_networks.postgres.sql": "4c6c849874139f47f7726f6fec2743cf",
    "0034_networks.sql": "58e92e2d73d7d7b6d358ed984d789ac8",
    "0034_networks_comments.sql": "fcb603e7e6a1a188253939f96fe18d3c",
    "0040_keep.sql": "2bc4f3e7098ee7c4d0139465901c29c8",
    "0041_pair_versions.duckdb.sql": "46c66d8822f05c67f4648359e170e693",
    "0045_network_kinds.postgres.sql": "b572afb712c7fee32e06d7920fe50e47",
    "0046_cells.duckdb.sql": "c12c651c5ac7c06285662f2cba5e9765",
    "0047_auto.sql": "1d2352316073c4a6bab54b31396c7ae1",
    "0047_trials.postgres.sql": "61507d99981845e382ebe01611723c4f",
    "0049_ordinal.postgres.sql": "24630a788e4eb063a67a11c0026d46da",
    "0052_refused.duckdb.sql": "e08550617dea4845a8d96b62157df42b",
}


def test_every_schema_file_is_frozen() -> None:
    assert {file.name for file in (folder() / "schema").iterdir()} == set(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_a_schema_file_is_what_it_was(name: str) -> None:
    file = folder() / "schema" / name
    assert Migration(name, file.read_text(encoding="utf-8")).checksum == FROZEN[name]


ALTERED = (
    "UPDATE embsql.migrations SET checksum = 'another' WHERE file_name LIKE '0001%'"
)


def test_a_server_made_by_another_schema_file_is_refused(pg) -> None:
    with embsql.connect(pg) as database:
        database.engine.run(ALTERED)
    with pytest.raises(
        errors.SchemaChanged,
        match=r"another 0001_registry\.sql: a schema file never changes",
    ):
        embsql.connect(pg)
    with pytest.raises(errors.SchemaChanged):
        embsql.connect(pg, install=True)


def test_a_file_made_by_another_schema_file_is_refused(tmp_path) -> None:
    """An embsql of another version meets it: one of this version has nothing to install."""
    path = tmp_path / "a.duckdb"
    with embsql.connect(path) as database:
        database.engine.run(
            f"{ALTERED}; UPDATE embsql.surface SET surface = 'of another version'"
        )
    with pytest.raises(errors.SchemaChanged):
        embsql.connect(path)


WITHOUT_COMMENT = {
    "duckdb": """
        SELECT table_name AS name FROM duckdb_tables()
        WHERE schema_name = 'embsql' AND comment IS NULL
        UNION ALL
        SELECT view_name FROM duckdb_views()
        WHERE schema_name = 'embsql' AND comment IS NULL
        UNION ALL
        SELECT table_name || '.' || column_name FROM duckdb_columns()
        WHERE schema_name = 'embsql' AND comment IS NULL
    """,
    "postgres": """
        SELECT c.relname || coalesce('.' || a.attname, '') AS name
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p', 'v')
            AND NOT c.relispartition
            AND (
                obj_description(c.oid, 'pg_class') IS NULL
                OR col_description(c.oid, a.attnum) IS NULL
            )
    """,
}


def test_every_table_and_column_says_what_it_holds(each) -> None:
    assert each.rows(WITHOUT_COMMENT[each.engine.name]) == []
