/** `selvedge init`: a project that runs at once. Files that exist are never touched. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { type CommandContext, CommandFailed, type CommandSpec } from '../command.ts';
import { nameFrom } from '../project-name.ts';
import { scaffold } from '../scaffold.ts';

async function init(context: CommandContext): Promise<undefined> {
  const { io } = context;
  const dir = resolve(io.cwd, context.args[0] ?? '.');
  const name = nameFrom(basename(dir));
  const files = Object.entries(scaffold(name));
  const inTheWay = files.map(([path]) => path).filter((path) => existsSync(join(dir, path)));
  if (inTheWay.length > 0) {
    throw new CommandFailed(`${dir} already has ${inTheWay.join(', ')}; nothing was written`, [
      "Give a new folder, such as 'selvedge init my-site'.",
    ]);
  }
  for (const [path, content] of files) await write(join(dir, path), content);
  const where = relative(io.cwd, dir) || '.';
  context.print({ directory: dir, project: name, files: files.map(([path]) => path) }, [
    ...files.map(([path]) => `wrote ${join(where, path)}`),
    '',
    'Next:',
    `  selvedge dev ${where}      runs it here, and again whenever a file is saved`,
    `  selvedge deploy ${where}   sends it to a platform ('selvedge start')`,
  ]);
}

/** `wx`: should somebody have been faster, theirs stays. */
async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content, { flag: 'wx' });
}

export const INIT: CommandSpec = {
  name: 'init',
  args: ['[dir]'],
  summary: 'start a new project',
  takes: ['json'],
  run: init,
};
