/** What stands behind `GET /v1/logs`: the log files of this machine, as the control plane asks for them. */
import { join } from 'node:path';
import type { LogSource } from '../../control/logs.ts';
import type { StorySource } from '../../control/requests.ts';
import { compileFilter } from '../../telemetry/filter.ts';
import { StorySearch } from '../../telemetry/story-search.ts';
import { tailLogs } from '../../telemetry/tail.ts';

/** A filter that cannot be used throws at once, before there is anything to iterate. */
export function logFiles(directory: string): LogSource {
  return ({ follow, kinds, last, filter }, signal) => {
    compileFilter(filter);
    const optional = { ...(kinds ? { kinds } : {}), ...(last === undefined ? {} : { last }) };
    return records(tailLogs({ directory, follow, filter, signal, ...optional }));
  };
}

/** What stands behind `GET /v1/requests`. `data` is the data directory. */
export function storyFiles(data: string, retentionHours: number): StorySource {
  const search = new StorySearch({ stories: storyDirectory(data), logs: join(data, 'logs'), retentionHours });
  return {
    retentionHours,
    stories: search.stories.bind(search),
    last: search.last.bind(search),
    access: search.access.bind(search),
    serverLines: search.serverLines.bind(search),
    oldestMs: search.oldestMs.bind(search),
  };
}

export const storyDirectory = (data: string): string => join(data, 'why');

async function* records(entries: ReturnType<typeof tailLogs>): AsyncGenerator<unknown> {
  for await (const { record } of entries) yield record;
}
