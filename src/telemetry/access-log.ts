/** The access log: one line of NDJSON per request in `<directory>/access.ndjson`. Fields: docs/log-fields.md. */
import { type AccessRecord, encodeAccess } from '../observe/log-fields.ts';
import { LogFile, type LogFileOptions, type LogFileStats } from './log-file.ts';

export interface AccessLogOptions extends Omit<LogFileOptions, 'base'> {
  /** `limits.log.userTimingBytes`; default 50. */
  readonly userTimingBytes?: number;
}

export class AccessLog {
  readonly #file: LogFile;
  readonly #userTimingBytes: number;

  constructor({ userTimingBytes = 50, ...options }: AccessLogOptions) {
    this.#file = new LogFile({ ...options, base: 'access' });
    this.#userTimingBytes = userTimingBytes;
  }

  get stats(): LogFileStats {
    return this.#file.stats;
  }

  /** Never waits and never throws. */
  write(record: Partial<AccessRecord>): void {
    const { xut } = record;
    const cut = xut === undefined ? record : { ...record, xut: cutBytes(xut, this.#userTimingBytes) };
    this.#file.write(encodeAccess(cut));
  }

  /** Lines that somebody else has written as `write` would; the memory is the log's from then on. */
  append(lines: Buffer, count: number): void {
    this.#file.append(lines, count);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** The longest start that fits, never ending within a character. */
function cutBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  let end = limit;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
