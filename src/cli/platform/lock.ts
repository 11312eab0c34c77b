/**
 * One platform per data directory. The lock is a socket, not a file with a number in it: whatever kills the process,
 * the kernel lets go of it, and a leftover name is recognised because nobody answers.
 */
import { rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

/** Rejects when another platform runs with the directory. Resolves with the function that lets go. */
export async function lockDataDir(data: string): Promise<() => Promise<void>> {
  const path = join(data, 'lock');
  // Unix socket names are short; a deep data directory is reached relative to the working directory.
  const name = path.length < 100 ? path : join('.', path.slice(process.cwd().length + 1));
  if (await answers(name)) throw new Error(`another platform already runs with the data directory ${data}`);
  await rm(path, { force: true });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`the data directory ${data} cannot be locked (${error.message})`)),
    );
    server.listen(name, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
