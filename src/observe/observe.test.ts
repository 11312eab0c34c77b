import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AccessRecord, encodeAccess, LOG_FIELD_NAMES } from './log-fields.ts';
import { METRIC_NAMES, METRICS, metricsText, parseMetrics } from './metrics.ts';

const record: AccessRecord = {
  timestamp: 1_700_000_000_000.25,
  rid: 'r-1',
  ip: '192.0.2.1',
  met: 'GET',
  url: '/a?b="c"\n',
  done: true,
  h2: false,
  prod: true,
  code: '200',
  stl: undefined,
  s_rs: Number.NaN,
};

test('a record is one line, flags and numbers written as the field table says, absent fields left away', () => {
  const line = encodeAccess(record);
  assert.equal(line.includes('\n'), false);
  assert.deepEqual(JSON.parse(line), {
    timestamp: 1_700_000_000_000.25,
    rid: 'r-1',
    prod: 1,
    ip: '192.0.2.1',
    h2: '0',
    met: 'GET',
    url: '/a?b="c"\n',
    code: '200',
    s_rs: 0,
    done: '1',
  });
});

test('fields stand in the order of the table', () => {
  const names = Object.keys(JSON.parse(encodeAccess(record)));
  assert.deepEqual(
    names,
    LOG_FIELD_NAMES.filter((name) => names.includes(name)),
  );
});

test('timings are written in the order of processing with whole numbers', () => {
  assert.equal(metricsText({ ecc: 'hit', ect: 2.4, eh: 3.2 }), 'eh=3,ect=2,ecc=hit');
  assert.equal(metricsText({}), '');
});

test('a compatible header has none of the native metrics', () => {
  const all = Object.fromEntries(METRIC_NAMES.map((name) => [name, METRICS[name].unit === 'word' ? 'hit' : 1]));
  const text = metricsText(all, { compatible: true });
  for (const name of ['edc', 'eds', 'gdc', 'gds', 'pq']) assert.doesNotMatch(text, new RegExp(`\\b${name}=`));
  assert.match(text, /\bgdf=1\b/);
});

test('what one hop wrote the next one reads, and nonsense is left away', () => {
  const sample = 'eh=325,ect=322,ecc=cached,edt=316,edd=0,edf=316,dgpop=hef,gh=7,gct=5,gcc=hit';
  assert.equal(metricsText(parseMetrics(sample)), sample);
  assert.deepEqual(parseMetrics('eh=x,zz=1,ecc=perhaps,,gh=7,constructor=1,toString=2'), { gh: 7 });
});
