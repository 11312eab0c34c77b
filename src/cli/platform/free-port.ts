/**
 * Processes that share a port would share it with a stranger as well, and clients would be answered by either. So
 * before the first of them listens, the port is tried alone. Whatever else may be wrong with it they find out.
 */
import { createServer } from 'node:net';

/** Rejects with a sentence for people when somebody listens there. */
export async function refuseTaken(host: string, port: number | undefined): Promise<void> {
  if (!port) return;
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  if ((await promise) === 'EADDRINUSE')
    throw new Error(`the client port ${host}:${port} is in use; choose another with --http-port`);
}
