/** `verifyJwt` options, checked at build: a token check that was written wrongly must never become no check at all. */
import type { JwtSettings } from '../table.ts';
import type { Reporter } from './op-builders.ts';

const ALGORITHMS = /^(?:HS|RS|ES)(?:256|384|512)$/;
const TEXTS = ['secret', 'header', 'cookie', 'redirectExpiredAbsent', 'redirectInvalid', 'returnUrlParamName'] as const;

/** Null, with the problem reported, when the options cannot be used. */
export function jwtSettings(options: Readonly<Record<string, unknown>>, reporter: Reporter): JwtSettings | null {
  const problems = problemsOf(options);
  for (const [message, remedy] of problems) reporter.error(message, remedy);
  for (const name of Object.keys(options)) {
    if (name !== 'algo' && !(TEXTS as readonly string[]).includes(name))
      reporter.warn(`verifyJwt has no option '${name}'`);
  }
  return problems.length > 0 ? null : (options as unknown as JwtSettings);
}

function problemsOf(options: Readonly<Record<string, unknown>>): [message: string, remedy: string][] {
  const problems: [string, string][] = [];
  if (typeof options.algo !== 'string' || !ALGORITHMS.test(options.algo)) {
    problems.push([
      `verifyJwt cannot use the algorithm ${JSON.stringify(options.algo)}`,
      'HS, RS or ES with 256, 384 or 512',
    ]);
  }
  if (typeof options.secret !== 'string' || options.secret === '') {
    problems.push(['verifyJwt needs a secret', 'the shared secret (HS) or the public key as PEM (RS, ES)']);
  }
  for (const name of TEXTS) {
    const value = options[name];
    if (name !== 'secret' && value !== undefined && typeof value !== 'string') {
      problems.push([`verifyJwt: ${name} must be text, not ${typeof value}`, 'leave it out or write a string']);
    }
  }
  return problems;
}
