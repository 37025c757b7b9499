// Runs SQL in DuckDB (the npm package @duckdb/node-api): a JSON list of statements on standard input, a JSON list of each
// one's rows, every cell as text or null, on standard output. Its folder of packages is the only argument.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { DuckDBInstance } = createRequire(process.argv[2] + '/node_modules/')('@duckdb/node-api');
const connection = await (await DuckDBInstance.create(':memory:')).connect();
const results = [];
for (const statement of JSON.parse(readFileSync(0, 'utf8'))) {
    const reader = await connection.runAndReadAll(statement);
    results.push(reader.getRows().map((row) => row.map((cell) => (cell === null ? null : String(cell)))));
}
process.stdout.write(JSON.stringify(results));
