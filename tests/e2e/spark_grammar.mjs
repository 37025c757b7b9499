// Asks an independent Spark SQL grammar (the npm package dt-sql-parser) about statements: a JSON list of texts on standard
// input, a JSON list of each one's complaints on standard output. Its folder of packages is the only argument.
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';

// The package is written for bundlers: its imports name neither ".js" nor "index.js", which Node does not guess.
const hook = `export async function resolve(name, context, next) {
    for (const ending of ['', '.js', '/index.js']) {
        try { return await next(name + ending, context); } catch (error) { if (ending === '/index.js') throw error; }
    }
}`;
register('data:text/javascript,' + encodeURIComponent(hook));
const { SparkSQL } = await import(pathToFileURL(process.argv[2] + '/node_modules/dt-sql-parser/dist/index.js'));

const statements = JSON.parse(readFileSync(0, 'utf8'));
const complaints = statements.map((text) =>
    new SparkSQL().validate(text).map((error) => `line ${error.startLine}, column ${error.startColumn}: ${error.message}`));
process.stdout.write(JSON.stringify(complaints));
