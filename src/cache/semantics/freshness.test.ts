import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../http/fields.ts';
import { responseCacheControl } from './cache-control.ts';
import { initialAgeMs, type LifetimeContext, staleWindows, upstreamLifetimeMs } from './freshness.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
const date = (offsetSeconds: number) => new Date(NOW + offsetSeconds * 1000).toUTCString();
const times = { requestedAtMs: NOW - 2000, respondedAtMs: NOW };
const fieldsOf = (record: Record<string, string | string[]>) => Fields.from(Object.entries(record));
const lifetime = (record: Record<string, string>, context: Partial<LifetimeContext> = {}) => {
  const fields = fieldsOf(record);
  return upstreamLifetimeMs(responseCacheControl(fields), fields, { status: 200, respondedAtMs: NOW, ...context });
};

test('the initial age is the larger of what Date and Age tell, the delay of the exchange added to Age', () => {
  assert.equal(initialAgeMs(fieldsOf({}), times), 2000);
  assert.equal(initialAgeMs(fieldsOf({ date: date(-10) }), times), 10_000);
  assert.equal(initialAgeMs(fieldsOf({ date: date(-10), age: '30' }), times), 32_000);
  assert.equal(initialAgeMs(fieldsOf({ date: date(100), age: 'x' }), times), 2000);
});

test('of several Age values the first counts, an invalid one counts as zero', () => {
  const prompt = { requestedAtMs: NOW, respondedAtMs: NOW };
  assert.equal(initialAgeMs(fieldsOf({ age: ['7', '900'] }), prompt), 7000);
  assert.equal(initialAgeMs(fieldsOf({ age: '7, 900' }), prompt), 7000);
  assert.equal(initialAgeMs(fieldsOf({ age: '-7' }), prompt), 0);
});

test('s-maxage beats max-age beats Expires', () => {
  assert.equal(lifetime({ 'cache-control': 'max-age=60, s-maxage=10', expires: date(99) }), 10_000);
  assert.equal(lifetime({ 'cache-control': 'max-age=60', expires: date(99) }), 60_000);
  assert.equal(lifetime({ date: date(-1), expires: date(99) }), 100_000);
  assert.equal(lifetime({}), undefined);
});

test('an invalid or past Expires is a lifetime of zero', () => {
  for (const expires of ['0', '-1', 'soon', date(-5), '2030-01-01T00:00:00Z'])
    assert.equal(lifetime({ expires }), 0, expires);
});

test('no-cache leaves no lifetime', () => {
  assert.equal(lifetime({ 'cache-control': 'no-cache, max-age=60' }), 0);
});

test('no-cache with field names leaves the lifetime, unless another says it of everything', () => {
  assert.equal(lifetime({ 'cache-control': 'no-cache="a, b", max-age=60' }), 60_000);
  assert.equal(lifetime({ 'cache-control': 'no-cache=a, max-age=60' }), 60_000);
  assert.equal(lifetime({ 'cache-control': 'no-cache="a", no-cache, max-age=60' }), 0);
  assert.equal(lifetime({ 'cache-control': 'no-cache="a b", max-age=60' }), 0);
});

test('dates are read whatever the case of their letters, but in no other zone', () => {
  assert.equal(lifetime({ date: date(0), expires: date(99).toLowerCase() }), 99_000);
  assert.equal(lifetime({ date: date(0), expires: date(99).replace('GMT', 'UTC') }), 0);
});

test('without a lifetime a tenth of the time since the last change is guessed, where that is asked for', () => {
  const old = { 'last-modified': date(-1000) };
  assert.equal(lifetime(old), undefined);
  assert.equal(lifetime(old, { heuristicMaxMs: 1e9 }), 100_000);
  assert.equal(lifetime(old, { heuristicMaxMs: 60_000 }), 60_000);
  assert.equal(lifetime({}, { heuristicMaxMs: 1e9 }), undefined);
  assert.equal(lifetime(old, { heuristicMaxMs: 1e9, status: 302 }), undefined);
  assert.equal(lifetime({ ...old, 'cache-control': 'public' }, { heuristicMaxMs: 1e9, status: 302 }), 100_000);
});

test('must-revalidate and its kin forbid the upstream its own stale windows', () => {
  const windows = (value: string, settings = {}) => {
    const { staleWhileRevalidateMs, staleIfErrorMs } = staleWindows(
      responseCacheControl(fieldsOf({ 'cache-control': value })),
      settings,
    );
    return [staleWhileRevalidateMs / 1000, staleIfErrorMs / 1000];
  };
  assert.deepEqual(windows('max-age=1, stale-while-revalidate=30, stale-if-error=60'), [30, 60]);
  assert.deepEqual(windows('stale-while-revalidate=30, stale-if-error=60, must-revalidate'), [0, 0]);
  assert.deepEqual(windows('max-age=1'), [0, 0]);
  const ours = { staleWhileRevalidateSeconds: 5, staleIfErrorSeconds: 7 };
  assert.deepEqual(windows('max-age=1, stale-if-error=60', ours), [5, 7]);
  assert.deepEqual(windows('must-revalidate', ours), [5, 0]);
  assert.deepEqual(windows('s-maxage=1', ours), [5, 0]);
  assert.deepEqual(windows('s-maxage=1, stale-if-error=60', ours), [5, 60]);
});
