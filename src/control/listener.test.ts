import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { listen } from './listener.ts';

const IDLE_MS = 30;
const TOKEN = 'token-of-the-test';

const listener = () =>
  listen(
    {
      token: TOKEN,
      allowedHosts: [],
      onError: () => {},
      bodyIdleMs: IDLE_MS,
      endpoints: [
        { method: 'POST', path: '/long', handle: () => later(IDLE_MS * 5, { json: { done: true } }) },
        { method: 'POST', path: '/read', handle: async ({ json }) => ({ json: await json() }) },
      ],
    },
    '127.0.0.1',
    0,
  );

describe('the pause that a body may make', () => {
  test('says nothing about how long the work on a request may take', async () => {
    const { port, close } = await listener();
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const answer = await fetch(`http://127.0.0.1:${port}/long`, { method: 'POST', headers, body: '{}' });
    assert.deepEqual(await answer.json(), { done: true });
    await close(0);
  });

  test('ends a connection that sends nothing more', async () => {
    const { port, close } = await listener();
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    socket.write(
      `POST /read HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 9\r\n\r\n{`,
    );
    await once(socket, 'close');
    await close(0);
  });
});
