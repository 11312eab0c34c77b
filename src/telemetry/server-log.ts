/** The server log: what project code writes to its console and streams, one line of NDJSON per write. */
import type { ServerLogLine } from '../compute/types.ts';
import { LogFile, type LogFileOptions, type LogFileStats } from './log-file.ts';

/** Longer messages are cut: one line must not fill the log. */
const MESSAGE_CHARACTERS = 32 * 1024;

/** A line as it stands in the file. `message` was cut when `truncated` is set. */
export interface LoggedServerLine extends ServerLogLine {
  readonly truncated?: boolean;
}

export class ServerLog {
  readonly #file: LogFile;

  constructor(options: Omit<LogFileOptions, 'base'>) {
    this.#file = new LogFile({ ...options, base: 'server' });
  }

  get stats(): LogFileStats {
    return this.#file.stats;
  }

  /** Never waits and never throws. */
  write(line: ServerLogLine): void {
    const { time, level, message, requestId, clientIp, wi, fn, late } = line;
    const truncated = message.length > MESSAGE_CHARACTERS;
    const text = truncated ? message.slice(0, MESSAGE_CHARACTERS) : message;
    const logged: LoggedServerLine = {
      time,
      level,
      requestId,
      clientIp,
      wi,
      fn,
      message: text,
      ...(late ? { late } : {}),
      ...(truncated ? { truncated } : {}),
    };
    this.#file.write(JSON.stringify(logged));
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
