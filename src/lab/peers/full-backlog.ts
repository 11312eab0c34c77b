/**
 * A listener that no connect reaches: a stopped process whose accept queue is full, so that the kernel leaves every
 * further SYN unanswered. Real silence on loopback, without aiming at foreign addresses.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const LISTENER = `
  const server = require('node:net').createServer();
  server.listen({ port: Number(process.argv[1]), host: '127.0.0.1', backlog: 1 }, () => {
    process.stdout.write(server.address().port + '\\n', () => process.kill(process.pid, 'SIGSTOP'));
  });
  process.stdin.on('end', () => process.exit()).resume();
`;
/** A queue of length 1 holds two connections on Linux. */
const FILLERS = 2;

export interface FullBacklog extends AsyncDisposable {
  readonly port: number;
}

/** On a free port, unless told which. */
export async function fullBacklog(at = 0): Promise<FullBacklog> {
  const child = spawn(process.execPath, ['-e', LISTENER, String(at)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  const fillers: Socket[] = [];
  for (let filled = 0; filled < FILLERS; filled++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    fillers.push(socket);
    await once(socket, 'connect');
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
