/** Checks that imports point downwards only: the house of ARCHITECTURE.md. Part of `npm run ok`. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const LAYERS: readonly (readonly string[])[] = [
  ['base', 'status', 'observe'],
  ['http', 'router', 'artifact', 'config', 'prefetch'],
  ['cache', 'upstream', 'compute'],
  ['pop', 'control', 'telemetry'],
  ['cli', 'lab'],
];
/** Layer 1 rooms that may know each other, because one is the other's vocabulary. */
const ALLOWED_SIBLINGS = new Set([
  'artifact>router',
  'telemetry>observe',
  'cli>lab',
  'base>base',
  'status>base',
  'observe>status',
  'observe>base',
]);

const layerOf = (room: string): number => LAYERS.findIndex((rooms) => rooms.includes(room));
const roomOf = (path: string): string => path.split('/')[1] ?? '';
const problems: string[] = [];

for (const file of globSync('src/*/**/*.ts')) {
  const room = roomOf(file);
  if (layerOf(room) < 0) problems.push(`${file}: room '${room}' is in no layer`);
  const isTest = file.endsWith('.test.ts');
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
    const target = normalize(join(dirname(file), specifier!));
    if (!target.startsWith('src/')) {
      if (!isTest && !target.startsWith('package.json')) problems.push(`${file}: imports ${target}, outside src/`);
      continue;
    }
    const other = roomOf(target);
    if (other === room || target === 'src/main.ts') continue;
    const up = layerOf(other) > layerOf(room);
    const sibling = layerOf(other) === layerOf(room) && !ALLOWED_SIBLINGS.has(`${room}>${other}`);
    if (up || sibling)
      problems.push(`${file}: ${room} (layer ${layerOf(room)}) must not import ${other} (layer ${layerOf(other)})`);
  }
}

// The console knows the shapes of the Control API, and nothing else of the platform.
for (const file of globSync('console/**/*.ts')) {
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/from\s*'(\.[^']+)'/g)) {
    const target = normalize(join(dirname(file), specifier!));
    if (!target.startsWith('console/') && target !== 'src/control/contract.ts')
      problems.push(`${file}: imports ${target}; only src/control/contract.ts is the console's business`);
  }
}

for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? 'layers: every import points downwards' : `layers: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
