/** One upstream connection: its wire, the HTTP client that owns it, and the lease by which the pool counts it. */
import { Client } from 'undici';
import type { Wire } from './wire.ts';

export interface ConnectionOptions {
  /** `ip:port`, for operators. */
  readonly address: string;
  /** Largest header section that the parser takes before it gives up, in bytes. */
  readonly maxHeaderBytes: number;
}

export class Connection {
  readonly wire: Wire;
  readonly client: Client;
  readonly address: string;
  /** Exchanges that were begun on it. */
  uses = 0;

  constructor(wire: Wire, options: ConnectionOptions) {
    this.wire = wire;
    this.address = options.address;
    this.client = clientOn(wire, options.maxHeaderBytes);
    // The client listens for itself; after an upgrade nobody does, and a reset must not end the process.
    wire.on('error', () => {});
  }

  /** Ready for another exchange: nothing closed it, and nothing of the last request still waits to be sent. */
  get usable(): boolean {
    const { wire } = this;
    return !wire.destroyed && !wire.readableEnded && wire.failure === null && !wire.sending;
  }

  close(): void {
    this.wire.destroy();
  }
}

/**
 * The client never dials: it gets the ready wire once. Its own timers are off, because one timer for several phases
 * cannot tell them apart and they fire up to a second late.
 */
function clientOn(wire: Wire, maxHeaderBytes: number): Client {
  let taken = false;
  return new Client('http://upstream.invalid', {
    connect: (_options, callback) => {
      queueMicrotask(() => {
        if (taken || wire.destroyed) return callback(new ConnectionGone(), null);
        taken = true;
        callback(null, wire as never);
      });
    },
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 2 ** 31 - 1,
    keepAliveTimeoutThreshold: 1_000,
    maxHeaderSize: maxHeaderBytes,
    allowH2: false,
  });
}

/** The connection had ended before the request could be written: nothing was sent. */
export class ConnectionGone extends Error {
  readonly code = 'ECONNRESET';

  constructor() {
    super('the connection was closed before the request was written');
    this.name = 'ConnectionGone';
  }
}
