/**
 * From the table of commands to a command line: parsing and help by commander, exit codes by kind of failure
 * (0 success, 1 what was asked failed, 2 wrong usage), never a stack trace for a user's mistake.
 */
import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from '../config/load.ts';
import {
  type CliIo,
  type CommandContext,
  CommandFailed,
  type CommandSpec,
  type OptionSpec,
  type OptionValue,
  SHARED_OPTIONS,
  UsageError,
} from './command.ts';

const GROUPS: Readonly<Record<string, string>> = {
  domains: 'host names that lead to an environment',
  env: 'variables that project code sees',
};

export interface CliOptions {
  readonly commands: readonly CommandSpec[];
  /** Shown by `--version`. */
  readonly version: string;
}

/** Runs one command line (without node and script) and resolves with the exit code. */
export async function runCli(argv: readonly string[], options: CliOptions, io: CliIo = processIo()): Promise<number> {
  let exitCode = 0;
  const program = buildProgram(options, io, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, io);
  }
}

/** The io of this process. A reader that closes the pipe (`selvedge logs | head`) ends the command quietly. */
export function processIo(): CliIo {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    env: process.env,
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal: process.stderr.isTTY === true,
    columns: process.stdout.isTTY === true ? process.stdout.columns : undefined,
  };
}

function buildProgram({ commands, version }: CliOptions, io: CliIo, setExit: (code: number) => void): Command {
  const program = configured(new Command('selvedge'), io)
    .description('Your own edge: deploy a project, look after its environments, run the platform.')
    .version(version)
    .showHelpAfterError('(selvedge --help lists the commands)');
  const groups = new Map<string, Command>();
  for (const spec of commands) {
    const [first = '', second] = spec.name.split(' ');
    const parent = second === undefined ? program : groupOf(first, program, groups, io);
    const command = configured(new Command(second ?? first), io);
    describe(command, spec);
    command.action(async () => setExit((await spec.run(contextOf(command, io))) ?? 0));
    parent.addCommand(command, { isDefault: spec.isDefault === true && second !== undefined });
  }
  return program;
}

function groupOf(name: string, program: Command, groups: Map<string, Command>, io: CliIo): Command {
  const known = groups.get(name);
  if (known) return known;
  const group = configured(new Command(name), io).description(GROUPS[name] ?? '');
  groups.set(name, group);
  program.addCommand(group);
  return group;
}

const configured = (command: Command, io: CliIo): Command =>
  command
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: (text, write) => write(sentence(text)) });

/** commander writes `error: unknown option '--x'`. */
const sentence = (text: string): string => text.replace(/^error: /, 'selvedge: ');

function describe(command: Command, spec: CommandSpec): void {
  command.description(spec.summary);
  const { help } = spec;
  if (help) command.addHelpText('after', () => `\n${help()}`);
  for (const argument of spec.args ?? []) command.argument(argument);
  for (const option of optionsOf(spec)) {
    command.addOption(new Option(option.flags, option.description).hideHelp(option.hidden === true));
  }
}

const optionsOf = (spec: CommandSpec): OptionSpec[] => [
  ...(spec.options ?? []),
  ...(spec.takes ?? []).flatMap((group) => SHARED_OPTIONS[group]),
];

function contextOf(command: Command, io: CliIo): CommandContext {
  const options = command.opts<Record<string, OptionValue>>();
  return {
    io,
    options,
    args: command.processedArgs as (string | undefined)[],
    text: (name) => (typeof options[name] === 'string' ? options[name] : undefined),
    flag: (name) => options[name] === true,
    print(value, human) {
      const lines = [human].flat();
      if (options.json === true) io.out(`${JSON.stringify(value)}\n`);
      else if (lines.length > 0) io.out(`${lines.join('\n')}\n`);
    },
  };
}

function report(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) {
    return error.code === 'commander.helpDisplayed' || error.code === 'commander.version' ? 0 : 2;
  }
  const text = error instanceof Error ? error.message : String(error);
  io.err(`selvedge: ${text}\n`);
  if (error instanceof CommandFailed) for (const line of error.details) io.err(`  ${line}\n`);
  if (io.env.SELVEDGE_DEBUG) io.err(`${error instanceof Error ? describeStack(error) : ''}\n`);
  return error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
}

function describeStack(error: Error): string {
  const inner = error.cause instanceof Error ? `\ncaused by ${describeStack(error.cause)}` : '';
  return `${error.stack ?? error.message}${inner}`;
}
