import type { CommandContext } from './command.ts';

/** What went well, but not everywhere. */
export function warn({ io }: CommandContext, warnings: readonly string[]): void {
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
}
