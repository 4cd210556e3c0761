// Writes built/built.json: digests of what built/map.js was built from, which a test holds it against.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

const sources = readdirSync('src').filter((file) => file !== 'digests.js').sort();
const files = ['package.json', 'package-lock.json', ...sources.map((file) => `src/${file}`), 'built/map.js'];
const digest = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');
writeFileSync('built/built.json', `${JSON.stringify(Object.fromEntries(files.map((file) => [file, digest(file)])), null, 2)}\n`);
