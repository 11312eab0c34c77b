/**
 * A project's regular expression behind one small interface, so that the POP runs it on a linear-time engine
 * (`linear.ts`) and the project's own process, which can only stall itself, on the native one.
 */
export interface Pattern {
  /** Whether it matches somewhere in the text. Stateless, whatever the flags. */
  test(text: string): boolean;
  /** The match and its groups, or null. */
  exec(text: string): readonly (string | undefined)[] | null;
  /** As `String.prototype.replace`: `$1`, `$<name>`, `$&`, `$$`; every match with flag `g`, else the first. */
  replace(text: string, replacement: string): string;
}

/** Throws when the engine cannot run the expression. */
export type PatternEngine = (source: string, flags: string) => Pattern;

export const nativeEngine: PatternEngine = (source, flags) => {
  const stateless = new RegExp(source, flags.replace(/[gy]/g, ''));
  const replacing = flags.includes('g') ? new RegExp(source, flags.replace('y', '')) : stateless;
  return {
    test: (text) => stateless.test(text),
    exec: (text) => stateless.exec(text),
    replace: (text, replacement) => text.replace(replacing, replacement),
  };
};
