/** What every failure of the platform looks like from outside and in the log, wherever it was raised. */
import assert from 'node:assert/strict';
import { parseProxyStatus } from '../../src/status/proxy-status.ts';
import type { Answer } from './client.ts';
import type { LogLine, Platform, Site } from './platform.ts';

export interface Expected {
  readonly code: number;
  /** RFC 9209 error type. */
  readonly error: string;
  /** Cause in the access log. */
  readonly fault: string;
  readonly hop: 'client' | 'edge' | 'global' | 'compute';
  readonly act: string;
  /** Part of the public details. */
  readonly details?: string;
}

type More = Parameters<Site['ask']>[1];

/** Asks, and checks status, page, Proxy-Status, our own fields and the access log. */
export async function failing(
  platform: Platform,
  site: Pick<Site, 'ask'>,
  path: string,
  expected: Expected,
  more: More = {},
): Promise<{ answer: Answer; line: LogLine }> {
  const headers = { accept: 'application/problem+json', ...more?.headers };
  const answer = await site.ask(path, { ...more, headers });
  const line = await checkFailure(platform, answer, expected);
  return { answer, line };
}

export async function checkFailure(platform: Platform, answer: Answer, expected: Expected): Promise<LogLine> {
  const { code, error, fault, hop, act, details = '' } = expected;
  const told = answer.get('proxy-status') ?? '';
  assert.equal(answer.status, code, `${told} ${answer.text.slice(0, 300)}`);
  assert.equal(answer.get('x-sv-error'), String(code));
  assert.equal(answer.get('cache-control'), 'no-store');
  assert.equal(answer.get('cache-status'), undefined, 'no Cache-Status on what the platform made');
  const members = parseProxyStatus(told);
  const [raised, ...passedOn] = members;
  assert.equal(raised?.error, error, told);
  assert.ok(raised.details?.includes(String(code)) && raised.details.includes(details), told);
  const atEdge = hop === 'client' || hop === 'edge';
  assert.match(raised.identity, atEdge ? /^edge-/ : /^global-/);
  assert.deepEqual(
    passedOn.map(({ identity, receivedStatus }) => [identity.split('-')[0], receivedStatus]),
    atEdge ? [] : [['edge', code]],
  );
  checkPage(answer, code);
  assert.match(answer.get('x-sv-status')!, new RegExp(`^eh=${code}`));
  const line = await platform.log(answer.get('x-sv-request-id')!);
  assert.deepEqual(
    {
      xcode: line.xcode,
      fault: line.fault,
      hop: line.hop,
      act: line.act,
      code: line.code,
      er: line.er,
      pstat: line.pstat,
    },
    { xcode: String(code), fault, hop, act, code: String(code), er: 1, pstat: told },
  );
  return line;
}

function checkPage(answer: Answer, code: number): void {
  if (answer.get('content-type') !== 'application/problem+json') return;
  const problem = answer.json() as Record<string, unknown>;
  for (const name of ['status', 'title', 'detail', 'code', 'fault', 'phase', 'hop', 'requestId']) {
    assert.ok(name in problem, `the problem has ${name}: ${answer.text}`);
  }
  assert.deepEqual([problem.status, problem.code], [code, code]);
  assert.equal(problem.requestId, answer.get('x-sv-request-id'));
  assert.doesNotMatch(answer.text, /127\.0\.0\.1|\bat .*:\d+:\d+|\/tmp\//, 'nothing internal on a public page');
}
