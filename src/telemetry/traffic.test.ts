import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUCKETS, Traffic } from './traffic.ts';

const good = {
  eid: 'shop-default',
  code: '200',
  cs: 'ok',
  ckh: 'a1',
  clv: 1,
  s_rq: 100,
  s_rs: 2_000,
  done: true,
} as const;
const failed = {
  ...{ eid: 'shop-default', code: '533', xcode: '533', fault: 'upstream.tls.certificate', hop: 'global' },
  ...{ act: 'upstream', cs: 'ok', ckh: 'a1', clv: 0, s_rq: 100, s_rs: 900, done: true },
} as const;
const value = (text: string, line: string): number | undefined => {
  const found = text.split('\n').find((it) => it.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
};

describe('traffic metrics', () => {
  test('count what access records say, failures with cause, hop, phase and actor', () => {
    const traffic = new Traffic();
    traffic.observe(good, 3);
    traffic.observe(good, 3);
    traffic.observe(failed, 40);
    const text = traffic.text();
    assert.equal(value(text, 'selvedge_requests_total{environment="shop-default",code="200",cache="l1"}'), 2);
    const labels =
      'environment="shop-default",code="533",cause="upstream.tls.certificate",hop="global",phase="tls",acts="upstream"';
    assert.equal(value(text, `selvedge_failures_total{${labels}}`), 1);
    assert.equal(value(text, 'selvedge_response_bytes_total{environment="shop-default"}'), 4_900);
    assert.equal(value(text, 'selvedge_incomplete_total{environment="shop-default"}'), undefined);
  });

  test('durations are cumulative buckets with sum and count', () => {
    const traffic = new Traffic();
    for (const ms of [1, 2, 30, 61_000]) traffic.observe(good, ms);
    const text = traffic.text();
    const at = (le: string) =>
      value(text, `selvedge_request_duration_seconds_bucket{environment="shop-default",cache="l1",le="${le}"}`);
    assert.deepEqual([at('0.001'), at('0.0025'), at('0.05'), at('60'), at('+Inf')], [1, 2, 3, 3, 4]);
    const own = '{environment="shop-default",cache="l1"}';
    assert.equal(value(text, `selvedge_request_duration_seconds_count${own}`), 4);
    assert.equal(value(text, `selvedge_request_duration_seconds_sum${own}`), 61.033);
    assert.equal(text.match(/le="/g)!.length, BUCKETS.length + 1);
  });

  test('a meter counts the same as records do', () => {
    const [records, meters] = [new Traffic(), new Traffic()];
    for (const [ms, done] of [
      [0, true],
      [3, true],
      [70_000, false],
    ] as const) {
      records.observe({ ...good, done }, ms);
      meters.meter(good).count(good.s_rq, good.s_rs, ms, done);
    }
    const [expected, counted] = [new Traffic(), new Traffic()];
    expected.add(records.take()!);
    counted.add(meters.take()!);
    assert.equal(counted.text(), expected.text());
    assert.equal(meters.take(), null);
  });

  test('processes add up, whatever becomes of them', () => {
    const [one, two, sum] = [new Traffic(), new Traffic(), new Traffic()];
    one.observe(good, 3);
    sum.add(one.take()!);
    assert.equal(one.take(), null, 'what was sent is not sent again');
    two.observe(good, 5);
    one.observe(failed, 5);
    sum.add(structuredClone(two.take()!));
    sum.add(structuredClone(one.take()!));
    const text = sum.text();
    assert.equal(value(text, 'selvedge_requests_total{environment="shop-default",code="200",cache="l1"}'), 2);
    assert.equal(
      value(text, 'selvedge_request_duration_seconds_count{environment="shop-default",cache="miss"}'),
      1,
      text,
    );
  });

  test('a great many environments stay a bounded number of series, and nothing is lost', () => {
    const traffic = new Traffic();
    for (let at = 0; at < 5_000; at++) traffic.observe({ ...good, eid: `site-${at}` }, 1);
    const lines = traffic
      .text()
      .split('\n')
      .filter((line) => line.startsWith('selvedge_requests_total{'));
    assert.equal(lines.length, 2_001);
    assert.equal(
      lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0),
      5_000,
    );
  });

  test('label values cannot break a line', () => {
    const traffic = new Traffic();
    traffic.observe({ ...good, code: '2"\n\\' }, 1);
    assert.ok(traffic.text().includes('code="2\\"\\n\\\\",'));
  });
});
