/** The access log of a world as it is written, by request id. */
import { open } from 'node:fs/promises';

/** A line of the access log. */
export type LogLine = Readonly<Record<string, unknown>>;

const PAUSE_MS = 15;

export class LogBook {
  readonly #path: string;
  readonly #lines = new Map<string, LogLine[]>();
  #offset = 0;
  #rest = '';
  #reading: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The lines of a request as soon as there are `count`; what there is when they do not come in time. */
  async find(requestId: string, count = 1, limitMs = 5_000): Promise<readonly LogLine[]> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const known = this.#lines.get(requestId) ?? [];
      if (known.length >= count || performance.now() > deadline) return known;
      // Whoever looks at the same moment shares the reading.
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
      if ((this.#lines.get(requestId)?.length ?? 0) < count) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  async #read(): Promise<void> {
    const file = await open(this.#path).catch(() => null);
    if (file === null) return;
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(size - this.#offset);
      await file.read(bytes, 0, bytes.length, this.#offset);
      this.#offset = size;
      this.#take(this.#rest + bytes.toString('latin1'));
    } finally {
      await file.close();
    }
  }

  #take(text: string): void {
    const lines = text.split('\n');
    this.#rest = lines.pop()!;
    for (const text of lines) {
      const line = JSON.parse(Buffer.from(text, 'latin1').toString()) as LogLine;
      const id = String(line.rid);
      this.#lines.set(id, [...(this.#lines.get(id) ?? []), line]);
    }
  }
}
