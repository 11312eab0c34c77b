/** What the lab tells: a row for each case, one case in words, and both for programs. */

import { DEFAULT_BRANDING } from '../status/branding.ts';
import { ACTORS, describeCode, fillNames } from '../status/catalogue.ts';
import { causeText } from '../status/cause-texts.ts';
import { codeOf, expectedOf, type LabCase, nameOf } from './case.ts';
import type { Played } from './lab.ts';
import { fieldOf, type Seen } from './seen.ts';

export const TABLE_HEAD = ['', 'code', 'variant', 'expected', 'got', 'hop', 'ms', 'request id'] as const;

/** A row of the table, in the order of its head. */
export function tableRow({ case: it, seen, verdict }: Played): string[] {
  const ok = verdict.differences.length === 0;
  return [
    ok ? '✓' : '✗',
    String(codeOf(it)),
    it.variant,
    `${codeOf(it)} ${it.cause}`,
    ok ? 'the same' : `${verdict.got ?? '-'} ${verdict.cause ?? ''}`.trim(),
    verdict.hop ?? '-',
    String(Math.round(seen.elapsedMs)),
    verdict.requestId,
  ];
}

/** For programs. */
export function playedAsJson({ case: it, seen, verdict }: Played) {
  const { expected, got, hop, cause, differences, requestId } = verdict;
  return {
    name: nameOf(it),
    code: expected.code,
    variant: it.variant,
    how: it.how,
    ok: differences.length === 0,
    expected,
    got: { code: got, cause, hop, status: seen.status, complete: seen.complete },
    elapsedMs: Math.round(seen.elapsedMs),
    requestId,
    differences,
  };
}

/** What can be provoked, without provoking it. */
export function describeCase(it: LabCase) {
  const { code, cause, hop, acts } = expectedOf(it);
  return { name: nameOf(it), code, variant: it.variant, cause, hop, acts, how: it.how };
}

/** One case in words: what is done, what was expected, what the client saw, whose move it is. */
export function explain({ case: it, seen, verdict }: Played): string[] {
  const { expected, differences } = verdict;
  const entry = describeCode(expected.code);
  return [
    `${expected.code} ${entry?.name ?? ''}, variant ${it.variant}`,
    '',
    `What is done:    ${it.how}`,
    `What it means:   ${causeText(expected.cause) ?? entry?.description ?? ''}`,
    `Expected:        ${expected.code} from hop ${expected.hop}, cause ${expected.cause}, phase ${expected.phase},`,
    `                 Proxy-Status error ${expected.error}${expected.details ? `, details with "${expected.details}"` : ''}`,
    `Who must act:    ${fillNames(ACTORS[expected.acts], DEFAULT_BRANDING)}`,
    `What to do:      ${entry?.remedy ?? ''}`,
    '',
    ...clientSaw(seen, it),
    '',
    differences.length === 0 ? '✓ as expected' : `✗ ${differences.length} differences:`,
    ...differences.map((difference) => `    ${difference}`),
    `request id: ${verdict.requestId}`,
  ];
}

/** Fields that say who failed. */
const TELLING = ['x-sv-error', 'x-sv-status', 'proxy-status', 'retry-after', 'content-type'];

function clientSaw(seen: Seen, it: LabCase): string[] {
  if (seen.status === null) return ['The client saw the connection end without an answer.'];
  const fields = TELLING.flatMap((name) => {
    const value = fieldOf(seen, name);
    return value === undefined ? [] : [`  ${name}: ${value}`];
  });
  const body = seen.body.toString().slice(0, 1_000).split('\n');
  const broke = it.afterHead ? ['  (here the connection broke: the body is not complete)'] : [];
  const elapsed = `The client saw, after ${Math.round(seen.elapsedMs)} ms:`;
  return [
    elapsed,
    `  HTTP/1.1 ${seen.status} ${seen.reason}`,
    ...fields,
    '',
    ...body.map((line) => `  ${line}`),
    ...broke,
  ];
}
