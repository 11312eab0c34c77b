/**
 * What stays the same from one request of a connection to the next: the peer's address and, as a rule, the user agent
 * with what is known of it. Looked up again when the bytes of the field differ.
 */
import type { Scanner } from './scan.ts';

/** Values for the log as JSON, and a text that is the same for agents that nobody tells apart. */
export interface AgentTraits {
  readonly json: readonly string[];
  readonly text: string;
}

/** Never throws. Asked once per agent and connection. */
export type DescribeAgent = (userAgent: string | undefined) => AgentTraits;

const NONE = new Uint8Array(0);

export class Client {
  /** For a JSON string. */
  readonly address: Uint8Array;
  agentJson: Uint8Array = NONE;
  traits: Uint8Array = NONE;
  traitsJson: readonly Uint8Array[] = [];
  readonly #describe: DescribeAgent;
  /** The field as it came last; null before the first request and when it was absent. */
  #agent: Uint8Array | null = null;
  #asked = false;

  constructor(address: string, describe: DescribeAgent) {
    this.address = Buffer.from(JSON.stringify(address).slice(1, -1));
    this.#describe = describe;
  }

  /** Bytes of everything that `Moment` may write of a client. */
  get bytes(): number {
    return this.address.length + this.agentJson.length + 64;
  }

  /** Called with each scanned head. */
  sees(bytes: Uint8Array, { agentStart, agentEnd }: Scanner): void {
    if (!this.#asked || !isSame(this.#agent, bytes, agentStart, agentEnd)) this.#take(bytes, agentStart, agentEnd);
  }

  #take(bytes: Uint8Array, from: number, to: number): void {
    this.#asked = true;
    this.#agent = from === 0 ? null : bytes.slice(from, to);
    const text = from === 0 ? undefined : Buffer.from(this.#agent!).toString('latin1');
    const { json, text: traits } = this.#describe(text);
    this.agentJson = Buffer.from(JSON.stringify(text ?? '').slice(1, -1));
    this.traits = Buffer.from(traits, 'latin1');
    this.traitsJson = json.map((value) => Buffer.from(value));
  }
}

function isSame(known: Uint8Array | null, bytes: Uint8Array, from: number, to: number): boolean {
  if (known === null) return from === 0;
  if (from === 0 || known.length !== to - from) return false;
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[from + at]) return false;
  return true;
}
