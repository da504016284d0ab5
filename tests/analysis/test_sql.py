"""SQL files: statements that do too much, conditions that are never true, and what is only near it."""

import os

import pytest

from bullpen.analysis.roast import ANALYSERS
from bullpen.domain.finding import Severity

pytestmark = pytest.mark.req("ROA-02")

FAULTS = {
    "delete-everything": "DELETE FROM orders;\n",
    "update-everything": "UPDATE orders SET paid = true;\n",
    "equals-null": "SELECT id FROM orders WHERE paid_at = NULL;\n",
    "not-in-subquery": "SELECT id FROM orders WHERE shop_id NOT IN (SELECT shop_id FROM closed);\n",
    "star-in-view": "CREATE VIEW paid AS SELECT * FROM orders WHERE paid;\n",
    "grant-all": "GRANT ALL PRIVILEGES ON orders TO app;\n",
    "grant-all-to-public": "GRANT ALL ON orders TO PUBLIC;\n",
    "drop-before-create": "DROP TABLE orders;\nCREATE TABLE orders (id int);\n",
}
NEAR_MISSES = [
    "DELETE FROM orders WHERE id = 1;\n",
    "DELETE FROM tmp_orders;\n",
    "DELETE FROM a USING b WHERE a.id = b.id;\n",
    "DELETE a FROM a JOIN b ON a.id = b.id;\n",
    "UPDATE orders SET paid_at = NULL WHERE id = 1;\n",
    "UPDATE a SET x = b.x FROM b WHERE a.id = b.id;\n",
    "UPDATE a JOIN b ON a.id = b.id SET a.x = b.x;\n",
    "SELECT id FROM orders WHERE paid_at IS NULL;\n",
    "SELECT id FROM orders WHERE shop_id NOT IN (SELECT id FROM closed);\n",
    "SELECT id FROM orders WHERE shop_id NOT IN (SELECT shop_id FROM closed WHERE shop_id IS NOT NULL);\n",
    "SELECT id FROM orders WHERE shop_id NOT IN (1, 2);\n",
    "CREATE VIEW paid AS SELECT id, total FROM orders;\n",
    "CREATE VIEW paid AS WITH o AS (SELECT id FROM orders) SELECT * FROM o;\n",
    "CREATE VIEW paid AS SELECT * FROM all_orders(true);\n",
    "CREATE VIEW n AS SELECT count(*) FROM orders;\n",
    "GRANT SELECT ON orders TO PUBLIC;\n",
    "DROP TABLE IF EXISTS orders;\nCREATE TABLE orders (id int);\n",
    "DROP TABLE orders;\n",
    "-- DELETE FROM orders;\n",
    "INSERT INTO notes VALUES ('DELETE FROM orders');\n",
    "CREATE FUNCTION f() RETURNS void AS $$ BEGIN DELETE FROM orders; END $$ LANGUAGE plpgsql;\n",
    "DELETE FROM {{ table }};\n",
    "DELETE FORM orders;\nUPDATE;\nGRANT ALL;\n",
    "\\copy orders TO 'delete.csv'\nSELECT 1;\n",
    "ALTER TABLE orders ADD COLUMN note text NOT NULL;\n",
]


async def look(make_tree, sandbox, files):
    analyser = ANALYSERS.load("sql")
    tree = make_tree(files)
    return await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)


async def test_each_fault_is_found_once(make_tree, sandbox):
    files = {f"{rule}.sql": f"-- a note\n{text}" for rule, text in FAULTS.items()}
    seen = await look(make_tree, sandbox, files)
    assert {(each.rule, each.place.path) for each in seen} == {
        (f"sql:{rule}", f"{rule}.sql") for rule in FAULTS
    }
    assert len(seen) == len(FAULTS)
    assert {each.place.line for each in seen} == {2}


async def test_near_misses_are_left_alone(make_tree, sandbox):
    seen = await look(make_tree, sandbox, {f"{n}.sql": text for n, text in enumerate(NEAR_MISSES)})
    assert [(each.rule, NEAR_MISSES[int(each.place.path[:-4])]) for each in seen] == []


async def test_the_place_is_that_of_the_fault(make_tree, sandbox):
    text = (
        "SELECT 1;\n\n  DELETE\n FROM orders ;\nSELECT a FROM b\n WHERE a = 1 AND c = NULL AND d <> NULL\n"
        "GO\nUPDATE shops SET open = 0\nGO\n"
    )
    seen = await look(make_tree, sandbox, {"a.sql": text})
    assert [(each.rule, each.place.line, each.place.column) for each in seen] == [
        ("sql:delete-everything", 3, 3),
        ("sql:equals-null", 6, 20),
        ("sql:equals-null", 6, 33),
        ("sql:update-everything", 8, 1),
    ]


MIGRATION = """\
CREATE TABLE shops (id int);
ALTER TABLE shops ADD COLUMN name text NOT NULL;
ALTER TABLE orders ADD COLUMN note text;
UPDATE orders SET note = '';
ALTER TABLE orders ADD COLUMN total int NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN number serial NOT NULL;
ALTER TABLE orders ADD COLUMN shop int NOT NULL;
"""


@pytest.mark.parametrize("path", ["migrations/a.sql", "db/V7__shops.sql", "sql/0012_shops.sql"])
async def test_a_migration_may_change_every_row_but_must_fit_rows_that_are_there(make_tree, sandbox, path):
    (seen,) = await look(make_tree, sandbox, {path: MIGRATION})
    assert (seen.rule, seen.place.line, seen.message) == (
        "sql:required-column",
        7,
        "The new column shop may not be null and has no default, so this fails on a table with rows.",
    )


async def test_examples_weigh_less_and_tests_are_left_alone(make_tree, sandbox):
    text = FAULTS["delete-everything"]
    files = {"a.sql": text, "examples/a.sql": text, "tests/a.sql": text}
    seen = await look(make_tree, sandbox, files)
    assert [(each.place.path, each.severity) for each in seen] == [
        ("a.sql", Severity.MEDIUM),
        ("examples/a.sql", Severity.LOW),
    ]


@pytest.mark.timeout(60)  # an order of magnitude more than they take
async def test_what_strangers_write_costs_little_and_breaks_nothing(make_tree, sandbox):
    odd = os.fsdecode(b"a b\n\xff.sql")
    files = {
        odd: b"-- \xff\nDELETE FROM orders;",
        "deep.sql": "DELETE FROM a WHERE " + "(" * 5000 + "1" + ")" * 5000,
        "cases.sql": "UPDATE a SET b = " + "CASE WHEN " * 900 + "1",
        "nested.sql": "SELECT 1 WHERE a NOT IN (" * 400,
        "arrays.sql": "DELETE FROM a WHERE b = " + "[" * 300 + "1" + "]" * 300,
        "long.sql": "INSERT INTO a VALUES (1);\n" * 60_000 + "DELETE FROM a;",
        "quoted.sql": "DELETE FROM a WHERE b = 'never ends",
        "nul.sql": "DELETE FROM a\0;",
        "add.sql": "add " * 100_000,
    }
    seen = await look(make_tree, sandbox, files)
    assert [
        (each.rule, each.place.path, each.place.line) for each in seen if each.place.path != "nul.sql"
    ] == [("sql:delete-everything", odd, 2)]
