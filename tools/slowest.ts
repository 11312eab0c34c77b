/** A reporter for Node's test runner, beside its own: which files took longest, so that the suite stays quick. */
import type { TestEvent } from 'node:test/reporters';

const SHOWN = 15;

// biome-ignore lint/style/noDefaultExport: what the runner asks of a reporter
export default async function* slowest(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files: { readonly name: string; readonly seconds: number }[] = [];
  for await (const { type, data } of events) {
    // A file is a test that is named like it; its time includes that of its process.
    if (type === 'test:complete' && data.nesting === 0 && data.file?.endsWith(data.name))
      files.push({ name: data.name, seconds: data.details.duration_ms / 1_000 });
    // The summary of all files has no name; what comes after it is lost, the runner ends.
    else if (type === 'test:summary' && data.file === undefined) yield table(files);
  }
}

function table(files: readonly { readonly name: string; readonly seconds: number }[]): string {
  const longest = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, SHOWN);
  const rows = longest.map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)}  ${name}`);
  return ['', `slowest of ${files.length} files, in seconds`, ...rows, ''].join('\n');
}
