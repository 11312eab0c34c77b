/**
 * Stacks of project code, for people: frames of Node, of the platform and of packages are left out when the
 * question is where in the project something was asked for. Positions are already those of the source map.
 */
const LOCATION = /(?:\s|\()((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])[^()]*?:\d+(?::\d+)?)\)?$/;
const STACK_CHARS = 8_192;

/** `src/api.ts:12:5`, or undefined when no frame is of the project. Packages are better than nothing. */
export function projectFrame(stack: string | undefined, root: string, own: string): string | undefined {
  const places = (stack ?? '')
    .split('\n')
    .map((line) => LOCATION.exec(line.trim())?.[1])
    .filter((place) => place !== undefined)
    .map((place) => place.replace(/^file:\/\//, ''))
    .filter((place) => !place.startsWith(own));
  const place = places.find((at) => !at.includes('/node_modules/')) ?? places[0];
  return place === undefined ? undefined : relative(place, root);
}

/** Without the frames that put the question, and with places relative to the bundle. */
export function readableStack(stack: string, root: string): string {
  const lines = stack.slice(0, STACK_CHARS).split('\n');
  const frames = lines.filter((line) => /^\s+at /.test(line) && !line.includes('at eval (eval at'));
  return frames.map((line) => line.replaceAll(`file://${root}/`, '').replaceAll(`${root}/`, '')).join('\n');
}

const relative = (place: string, root: string): string =>
  place.startsWith(`${root}/`) ? place.slice(root.length + 1) : place;
