/** A client that speaks HTTP/2 in frames of its own making, for what no library would send. */
import { once } from 'node:events';
import tls from 'node:tls';

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, windowUpdate: 8, continuation: 9 } as const;
export const FLAG = { endStream: 1, endHeaders: 4 } as const;

/** RFC 9113 section 4.1. */
export function frame(
  type: keyof typeof FRAME,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(FRAME[type], 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** GET / by the static table, `:authority` as a literal (RFC 7541 appendix A and section 6.2.2). */
export function requestBlock(authority: string): Buffer {
  const name = Buffer.from(authority);
  return Buffer.concat([Buffer.from([0x82, 0x84, 0x87, 0x01, name.length]), name]);
}

/** A literal with incremental indexing: it goes into the dynamic table, where 0xbe then names it. */
export function indexedLiteral(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const rest: number[] = [];
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  let left = bytes.length - 127;
  for (; left >= 128; left >>= 7) rest.push((left & 127) | 128);
  return Buffer.concat([Buffer.from([127, ...rest, left]), bytes]);
}

export class Attacker {
  readonly socket: tls.TLSSocket;
  /** Resolves when the server has ended the connection. */
  readonly closed: Promise<unknown>;

  private constructor(socket: tls.TLSSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
  }

  static async connect(port: number): Promise<Attacker> {
    const socket = tls.connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const attacker = new Attacker(socket);
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0, 0)]));
    return attacker;
  }

  /** Sends the bytes over and over until the server has had enough; false when it never had. */
  async flood(bytes: Buffer, times: number): Promise<boolean> {
    for (let at = 0; at < times && !this.socket.destroyed; at++) {
      if (this.socket.write(bytes)) continue;
      await Promise.race([once(this.socket, 'drain').catch(() => {}), this.closed]);
    }
    const limit = new Promise<false>((resolve) => setTimeout(() => resolve(false), 5_000).unref());
    return Promise.race([this.closed.then(() => true), limit]);
  }
}
