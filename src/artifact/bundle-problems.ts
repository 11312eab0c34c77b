/** The bundler's messages in the user's terms: their file and line, what is wrong, what to do. */
import type { Message } from 'esbuild';
import { type BuildProblem, type ProblemList, Problems, projectPath } from './problems.ts';

/** Framework integrations of older generations: routes plugins, connectors, browser helpers. */
const INTEGRATION = /^@(?:edgio|layer0)\/(?!core(?:\/|$))/;
const CORE = /^(?:@(?:edgio|layer0)\/core|selvedge)(?:\/|$)/;
/** Said about installed code that runs as it always did, or about what the project plugin has dealt with. */
const QUIET = new Set([
  'commonjs-variable-in-esm',
  'tsconfig.json',
  'package.json',
  'empty-import-meta',
  'require-resolve-not-external',
  'different-path-case',
]);

export function bundleProblems(
  { errors, warnings }: { readonly errors: readonly Message[]; readonly warnings: readonly Message[] },
  projectDir: string,
  entry: string,
): ProblemList {
  const problems = new Problems();
  const seen = new Set<string>();
  for (const message of errors) {
    const problem = translate(message, projectDir, entry);
    const key = `${problem.file}:${problem.line}:${problem.message}`;
    if (!seen.has(key)) problems.errors.push(problem);
    seen.add(key);
  }
  for (const message of warnings) {
    if (
      QUIET.has(message.id) ||
      message.location?.file.includes('node_modules/') ||
      message.location?.file.startsWith('selvedge:')
    )
      continue;
    problems.warnings.push(translate(message, projectDir, entry));
  }
  return problems;
}

function translate(message: Message, projectDir: string, entry: string): BuildProblem {
  const { location, text, detail } = message;
  const place = location ? { file: projectPath(projectDir, location.file), line: location.line } : { file: entry };
  if (detail === 'native-addon')
    return {
      ...place,
      message: `${text}.`,
      remedy:
        'set `includeNodeModules: true` in the project configuration: the installed packages then join the bundle as they are.',
    };
  const missing = /^Could not resolve "(.+)"/.exec(text)?.[1];
  if (missing !== undefined) return { ...place, ...unresolved(missing) };
  const loader = /^No loader is configured for "(.+?)" files: (.+)$/.exec(text);
  if (loader)
    return {
      ...place,
      message: `\`${loader[1]}\` files cannot be imported (${loader[2]}).`,
      remedy: 'read the file at run time, and name it in `includeFiles`.',
    };
  const unknownExport = /^No matching export in "selvedge:[^"]*" for import "(.+)"$/.exec(text)?.[1];
  if (unknownExport !== undefined)
    return {
      ...place,
      message: `\`${unknownExport}\` is not part of this module's API.`,
      remedy: 'check the spelling, or remove the import.',
    };
  return { ...place, message: /[.!?]$/.test(text) ? text : `${text}.` };
}

function unresolved(name: string): { message: string; remedy: string } {
  if (name.startsWith('.') || name.startsWith('/'))
    return {
      message: `Cannot find \`${name}\`.`,
      remedy: 'check the path; a file that a build step makes must exist before the deployment is built.',
    };
  if (CORE.test(name))
    return {
      message: `\`${name}\` is not a module of this platform.`,
      remedy: 'import from `selvedge/router`, `selvedge/environment` or another documented module.',
    };
  const packageName = name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
  if (INTEGRATION.test(name))
    return {
      message: `The package \`${packageName}\` is not installed.`,
      remedy: `run \`npm install\` in the project, or \`npm install ${packageName}\`; its routes plugin runs from node_modules.`,
    };
  return {
    message: `The package \`${packageName}\` is not installed.`,
    remedy: `run \`npm install\` in the project, or \`npm install ${packageName}\` if it is not yet a dependency.`,
  };
}
