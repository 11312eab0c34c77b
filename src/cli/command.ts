/**
 * What a command is: a row of a table. Names, arguments, options and help are data; `run.ts` makes the command
 * line of it. A command returns, or throws `UsageError` (exit 2) or `CommandFailed` (exit 1).
 */

/** Where a command reads from and writes to; tests give their own. */
export interface CliIo {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Data for programs and people. */
  out(text: string): void;
  /** Progress and trouble. */
  err(text: string): void;
  /** Progress may overwrite its own line. */
  readonly isTerminal: boolean;
  /** Width of the terminal that reads the data; undefined when none does. */
  readonly columns?: number | undefined;
}

export type OptionValue = string | boolean | readonly string[] | undefined;

export interface CommandContext {
  readonly io: CliIo;
  /** Positional arguments in order; optional ones that were left out are undefined. */
  readonly args: readonly (string | undefined)[];
  /** By long name in camel case, e.g. `skipBuild`. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** The option as text, or undefined. */
  text(option: string): string | undefined;
  flag(option: string): boolean;
  /** `value` as one JSON document with `--json`, else `human` as lines. */
  print(value: unknown, human: string | readonly string[]): void;
}

export interface OptionSpec {
  /** As commander reads it: `-f, --follow` or `--project <name>`; `<name...>` may be repeated. */
  readonly flags: string;
  readonly description: string;
  /** Understood but not shown: spellings of earlier systems. */
  readonly hidden?: boolean;
}

export interface CommandSpec {
  /** `deploy`, or `domains add` for a command of a group. */
  readonly name: string;
  /** As commander reads them: `[dir]`, `<name>`. */
  readonly args?: readonly string[];
  readonly summary: string;
  readonly options?: readonly OptionSpec[];
  /** Option groups that many commands share. */
  readonly takes?: readonly SharedOptions[];
  /** Further help, made only when it is asked for. */
  readonly help?: () => string;
  /** What a group does when no command of it is named. */
  readonly isDefault?: boolean;
  /** The exit code; nothing means 0. */
  run(context: CommandContext): Promise<number | undefined>;
}

export type SharedOptions = 'control' | 'environment' | 'json';

export const SHARED_OPTIONS: Readonly<Record<SharedOptions, readonly OptionSpec[]>> = {
  control: [
    { flags: '--to <url>', description: 'control plane (SELVEDGE_CONTROL; default: the one started on this machine)' },
    { flags: '--token <token>', description: 'its token (SELVEDGE_TOKEN; default: from the data directory)' },
    { flags: '--data <dir>', description: 'data directory of a platform on this machine (SELVEDGE_DATA)' },
  ],
  environment: [
    {
      flags: '--project <name>',
      description: 'default: name in the project config, in package.json, or of the folder',
    },
    { flags: '--environment <name>', description: "default: 'default'" },
    { flags: '--site <name>', description: 'the same as --project', hidden: true },
    { flags: '--branch <name>', description: 'the same as --environment', hidden: true },
  ],
  json: [{ flags: '--json', description: 'print JSON on standard output' }],
};

/** The command line itself is wrong. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** What was asked for did not succeed; the message is for people. */
export class CommandFailed extends Error {
  /** Lines below the message. */
  readonly details: readonly string[];

  constructor(message: string, details: readonly string[] = [], cause?: unknown) {
    super(message, { cause });
    this.name = 'CommandFailed';
    this.details = details;
  }
}
