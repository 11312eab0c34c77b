import { targetOf } from '../template.ts';

/** A path with its `:variables` filled in. */
export function bindParamsToPath(
  path: string,
  params: Readonly<Record<string, string | string[] | undefined>>,
): string {
  const target = targetOf(path, { params }, { path: '/', query: '' });
  return target.query ? `${target.path}?${target.query}` : target.path;
}
export { bindParamsToPath as default };
