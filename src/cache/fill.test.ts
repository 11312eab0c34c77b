import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { Fill, type FillEnd, type FillLimits } from './fill.ts';

const clock = new ManualClock();
const KB = 1024;

function begin(source: Readable, change: Partial<FillLimits> & { expectedBytes?: number } = {}) {
  const ends: FillEnd[] = [];
  const limits: FillLimits = {
    ...{ clock, maxObjectBytes: 1000 * KB, windowBytes: 64 * KB, laggardMs: 10_000 },
    budget: { usedBytes: 0, maxBytes: 1e9 },
    lengthError: () => new Error('wrong length'),
    laggardError: () => new Error('too slow'),
    ...change,
  };
  const fill = new Fill(source, change.expectedBytes, limits, (end) => ends.push(end));
  const leavers: number[] = [];
  const reader = () => fill.reader(() => leavers.push(leavers.length));
  return { fill, ends, limits, reader, leavers };
}

/** `count` pieces of 16 KB, each filled with its number, made only when asked for. */
function pieces(count: number, onMade = (_number: number) => {}): Readable {
  let made = 0;
  return new Readable({
    highWaterMark: 16 * KB,
    read() {
      onMade(made);
      this.push(made === count ? null : Buffer.alloc(16 * KB, made++ % 251));
    },
  });
}
/** Lets everything that can happen without outside help happen. */
const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await immediate();
};

describe('a body that fits', () => {
  test('reaches every reader, also one that comes late, and is kept in memory of its own size', async () => {
    const source = new PassThrough();
    const { fill, ends, reader, limits } = begin(source);
    const early = buffer(reader());
    fill.start();
    source.write('hello ');
    await settle();
    assert.equal(limits.budget.usedBytes, 6);
    const late = buffer(reader());
    source.end('world');
    assert.equal((await early).toString(), 'hello world');
    assert.equal((await late).toString(), 'hello world');
    assert.equal((await buffer(reader())).toString(), 'hello world');
    assert.deepEqual(ends, [{ kind: 'whole', body: Buffer.from('hello world') }]);
    assert.equal(ends[0]!.kind === 'whole' && ends[0]!.body.buffer.byteLength, 11);
    assert.equal(limits.budget.usedBytes, 0);
  });

  test('is not held up by a reader that reads nothing', async () => {
    const { fill, reader, ends } = begin(pieces(40));
    const stalled = reader();
    const quick = buffer(reader());
    fill.start();
    assert.equal((await quick).length, 640 * KB);
    assert.equal(ends[0]?.kind, 'whole');
    assert.deepEqual(await buffer(stalled), await quick);
  });

  test('tells once when a reader has ended or was destroyed', async () => {
    const { fill, reader, leavers } = begin(pieces(1));
    const destroyed = reader();
    const whole = reader();
    fill.start();
    destroyed.destroy();
    await buffer(whole);
    await settle();
    assert.equal(leavers.length, 2);
  });
});

describe('a body that breaks', () => {
  for (const [name, end] of [
    ['with an error', (source: PassThrough) => source.destroy(new Error('broken'))],
    ['without one', (source: PassThrough) => source.destroy()],
    ['by ending short', (source: PassThrough) => source.end()],
  ] as const)
    test(`${name} is not kept, and every reader is told`, async () => {
      const source = new PassThrough();
      const { fill, reader, ends, limits } = begin(source, { expectedBytes: 100 });
      const bodies = [reader(), reader()].map((body) => buffer(body));
      reader(); // nobody listens to this one
      fill.start();
      source.write('some');
      await settle();
      end(source);
      const message = name === 'with an error' ? /broken/ : /wrong length/;
      for (const body of bodies) await assert.rejects(body, message);
      assert.equal(ends.length, 1);
      assert.equal(ends[0]?.kind, 'failed');
      assert.equal(fill.joinable, false);
      assert.equal(limits.budget.usedBytes, 0);
    });

  test('by being longer than announced is not kept', async () => {
    const { fill, reader, ends } = begin(Readable.from([Buffer.from('too long')]), { expectedBytes: 3 });
    const body = buffer(reader());
    fill.start();
    await assert.rejects(body, /wrong length/);
    assert.equal(ends[0]?.kind, 'failed');
  });
});

describe('a body that outgrows the limit', () => {
  const small = { maxObjectBytes: 32 * KB };

  test('flows through a window: little is held at any time, nothing is lost, nobody new may join', async () => {
    let mostHeld = 0;
    const source = pieces(2000, () => {
      mostHeld = Math.max(mostHeld, fill.heldBytes);
    });
    const { fill, reader, ends } = begin(source, small);
    let bytes = 0;
    const body = reader();
    fill.start();
    for await (const piece of body) {
      const expected = Math.floor(bytes / (16 * KB)) % 251;
      assert.equal(piece[0], expected);
      bytes += piece.length;
      if (bytes % (320 * KB) === 0) await immediate();
    }
    assert.equal(bytes, 2000 * 16 * KB);
    assert.deepEqual(ends, [{ kind: 'window', tooLarge: true }]);
    assert.ok(mostHeld <= 128 * KB, `held ${mostHeld}`);
    assert.equal(fill.joinable, false);
  });

  test('is held back by its slowest reader', async () => {
    let made = 0;
    const { fill, reader } = begin(
      pieces(1000, (number) => {
        made = number;
      }),
      small,
    );
    const slow = reader();
    const quick = reader();
    quick.resume();
    fill.start();
    await settle();
    const stoppedAt = made;
    await settle();
    assert.equal(made, stoppedAt);
    assert.ok(stoppedAt < 20, `made ${stoppedAt}`);
    slow.resume();
    await Promise.all([slow, quick].map((body) => new Promise((resolve) => body.on('end', resolve))));
    assert.equal(made, 1000);
  });

  test('goes on without a reader that keeps the others waiting for too long', async () => {
    const { fill, reader } = begin(pieces(1000), small);
    const stalled = reader();
    const quick = buffer(reader());
    fill.start();
    await clock.armed(10_000);
    await settle();
    clock.advance(10_000);
    assert.equal((await quick).length, 16_000 * KB);
    assert.match(String(stalled.errored), /too slow/);
  });

  test('a lone reader may take its time', async () => {
    const { fill, reader } = begin(pieces(100), small);
    const slow = reader();
    fill.start();
    await settle();
    clock.advance(1e6);
    assert.equal((await buffer(slow)).length, 1600 * KB);
  });

  test('the same happens when all fills together use too much memory', async () => {
    const { fill, reader, ends, limits } = begin(pieces(10), { budget: { usedBytes: 0, maxBytes: 20 * KB } });
    const body = buffer(reader());
    fill.start();
    assert.equal((await body).length, 160 * KB);
    assert.deepEqual(ends, [{ kind: 'window', tooLarge: false }]);
    assert.equal(limits.budget.usedBytes, 0);
  });
});
