// What node-postgres sends, asked of a model `shop`; see run.sh. Every value goes as text without a type.
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const pg = require("pg");
const pgvector = require("pgvector/pg");

const floats = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
const similar = "SELECT item_id FROM embsql.similar_items($1, $2, $3)";
const candidates = "SELECT item_id FROM embsql.recommend($1, $2, candidates => $3, exclude_seen => FALSE)";
const nearest = "SELECT item_id FROM embsql.nearest_items($1, $2, k => $3)";
const calls = [
  ["id: number", similar, ["shop", 42, 3]],
  ["id: string", similar, ["shop", "42", 3]],
  ["id: BigInt", similar, ["shop", 42n, 3n]],
  ["list: numbers", candidates, ["shop", "u1", [1, 2, 42]]],
  ["list: strings", candidates, ["shop", "u1", ["1", "2", "42"]]],
  ["list: null", candidates, ["shop", 1, null]],
  ["list and weights", "SELECT embsql.fold_in($1, $2, $3)", ["shop", [1, 2], [0.5, 2]]],
  ["vector: numbers", nearest, ["shop", floats, 3]],
  ["vector: text", nearest, ["shop", JSON.stringify(floats), 3]],
  ["vector: toSql", nearest, ["shop", pgvector.toSql(floats), 3]],
];

const client = new pg.Client(); // PGHOST, PGDATABASE and PGUSER say where
await client.connect();
await pgvector.registerTypes(client);
const { rows } = await client.query("SELECT embedding FROM embsql.item_embedding($1) LIMIT 1", ["shop"]);
calls.push(["vector: as it came", nearest, ["shop", rows[0].embedding, 3]]);
let answered = 0;
for (const [label, sql, values] of calls) {
  try {
    if ((await client.query(sql, values)).rows.length === 0) throw new Error("no rows");
    answered += 1;
  } catch (error) {
    console.log(`    ${label}: ${error.message}`);
  }
}
console.log(`node-postgres                ${answered} of ${calls.length} answer`);
await client.end();
process.exitCode = answered === calls.length ? 0 : 1;
