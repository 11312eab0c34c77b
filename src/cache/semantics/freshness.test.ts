import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fields } from '../../http/fields.ts';
import { responseCacheControl } from './cache-control.ts';
import { initialAgeMs, upstreamLifetimeMs, upstreamStaleWhileRevalidateMs } from './freshness.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
const date = (offsetSeconds: number) => new Date(NOW + offsetSeconds * 1000).toUTCString();
const times = { requestedAtMs: NOW - 2000, respondedAtMs: NOW };
const fieldsOf = (record: Record<string, string | string[]>) => Fields.from(Object.entries(record));
const lifetime = (record: Record<string, string>) => {
  const fields = fieldsOf(record);
  return upstreamLifetimeMs(responseCacheControl(fields), fields, NOW);
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

test('must-revalidate and its kin forbid the upstream its own stale window', () => {
  const window = (value: string) =>
    upstreamStaleWhileRevalidateMs(responseCacheControl(fieldsOf({ 'cache-control': value })));
  assert.equal(window('max-age=1, stale-while-revalidate=30'), 30_000);
  assert.equal(window('max-age=1, stale-while-revalidate=30, must-revalidate'), 0);
  assert.equal(window('max-age=1'), 0);
});
