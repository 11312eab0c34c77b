import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import { endingWhenDrained } from './endless.ts';

const answer = (type: string): HttpResponse & { body: PassThrough } => ({
  status: 200,
  fields: Fields.from([['content-type', type]]),
  body: new PassThrough(),
});

describe('a POP that drains', () => {
  test('ends an event stream after what it has sent', async () => {
    const draining = new AbortController();
    const events = answer('text/event-stream; charset=utf-8');
    const { body } = endingWhenDrained(events, draining.signal);
    const received = text(body as PassThrough);
    events.body.write('data: one\n\n', () => draining.abort());
    assert.equal(await received, 'data: one\n\n');
    assert.ok(events.body.destroyed, 'the source is let go of');
  });

  test('lets every other answer finish', () => {
    const download = answer('application/octet-stream');
    assert.equal(endingWhenDrained(download, AbortSignal.abort()), download);
  });
});
