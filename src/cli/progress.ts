/** What a long command is doing, on standard error: one line that overwrites itself on a terminal, else one per step. */
import type { CliIo } from './command.ts';

export interface Progress {
  /** A step begins, or moves: the same `step` again overwrites. */
  show(step: string, text: string): void;
  /** The line stands; what comes next begins a new one. */
  done(): void;
}

const ERASE_LINE = '\r\u001b[K';
/** Without a terminal a moving step is not repeated line by line: only its begin and its end. */
export function createProgress(io: CliIo): Progress {
  let step = '';
  let pending = '';
  const flush = () => {
    if (pending !== '') io.err(`${pending}\n`);
    pending = '';
  };
  return {
    show(name, text) {
      const line = `${name}: ${text}`;
      if (io.isTerminal) {
        if (step !== name && step !== '') io.err('\n');
        io.err(`${ERASE_LINE}${line}`);
      } else if (step !== name) {
        flush();
        io.err(`${line}\n`);
      } else pending = line;
      step = name;
    },
    done() {
      if (io.isTerminal && step !== '') io.err('\n');
      flush();
      step = '';
    },
  };
}
